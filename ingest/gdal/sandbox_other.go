//go:build !linux

package gdal

import (
	"context"

	"changde/problem"
)

func become(string, []string) error { return notLinux() }

func notLinux() error {
	return problem.New(problem.Unsupported, "gdal-sandbox", "",
		"只有 Linux 能隔离运行 GDAL，本系统不支持该格式", "GDAL can be kept apart on Linux alone; the format is not read on this system")
}

func probe(context.Context) Sandbox { return Sandbox{} }

func (t *Tool) needs() error { return notLinux() }

func (t *Tool) run(context.Context, job) (output, error) { return output{}, notLinux() }
