package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"

	"changde/ingest/gdal"
	"changde/postgis"
	"changde/problem"
)

type doctorCommand struct{}

// Run prints what this machine has and lacks, with the command that mends it.
func (c *doctorCommand) Run(ctx context.Context, s *settings, out *streams) error {
	dir, err := s.dataFolder()
	if err != nil {
		return err
	}
	t := newTable(out.out)
	t.AppendRow([]any{"系统 system", runtime.GOOS + "/" + runtime.GOARCH, fmt.Sprintf("%d 核 cores", runtime.NumCPU())})
	t.AppendRow([]any{"数据目录 data folder", dir, ""})
	missing := 0
	if tool, err := gdal.Find(ctx, gdal.Options{}); err == nil {
		zh, en := tool.Sandbox().Describe()
		t.AppendRow([]any{"格式转换 formats by GDAL", "GDAL " + tool.Version(), zh + " / " + en})
	} else {
		t.AppendRow([]any{"格式转换 formats by GDAL", "不可用 not available", err.Error()})
	}
	for _, tool := range []struct{ name, program, arg, use string }{
		{"PostGIS 工具 tools", "shp2pgsql", "", "apt-get install postgis（性能对照，可选 / optional）"},
	} {
		version, mend := programVersion(ctx, tool.program, tool.arg), ""
		if version == "" {
			version, mend = "没有 missing", tool.use
		}
		t.AppendRow([]any{tool.name, version, mend})
	}
	if s.Database != "" {
		pool, err := postgis.Open(ctx, postgis.Config{URL: s.Database, MaxConns: 1})
		if err != nil {
			t.Render()
			return err
		}
		defer pool.Close()
		var server, gis string
		if err := pool.QueryRow(ctx, "SELECT split_part(version(), ' ', 2), coalesce((SELECT default_version FROM pg_available_extensions WHERE name = 'postgis'), '')").Scan(&server, &gis); err != nil {
			return fmt.Errorf("ask the database: %w", err)
		}
		t.AppendRow([]any{"PostgreSQL", server, "DATABASE_URL"})
		if gis == "" {
			gis, missing = "没有 missing", missing+1
		}
		t.AppendRow([]any{"PostGIS", gis, ""})
	} else if bin, err := postgis.FindServer(""); err != nil {
		t.AppendRow([]any{"PostgreSQL + PostGIS", "没有 missing", err.Error()})
		missing++
	} else {
		t.AppendRow([]any{"PostgreSQL + PostGIS", programVersion(ctx, filepath.Join(bin, "postgres"), "--version"), bin})
	}
	t.SetColumnConfigs([]table.ColumnConfig{{Number: 3, WidthMax: 90}})
	t.Render()
	if missing > 0 {
		return problem.New(problem.Invalid, "machine-incomplete", "", "缺少必需组件，见上表", "a required component is missing; see the table")
	}
	return nil
}

// programVersion is the first line a program prints of itself, empty when there
// is no such program.
func programVersion(ctx context.Context, program, arg string) string {
	path, err := exec.LookPath(program)
	if err != nil {
		return ""
	}
	if arg == "" {
		return path
	}
	b, err := exec.CommandContext(ctx, path, arg).Output()
	if err != nil {
		return path
	}
	line, _, _ := strings.Cut(string(b), "\n")
	return line
}
