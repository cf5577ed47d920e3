//go:build !linux

package postgis

import (
	"context"
	"errors"
	"log/slog"

	"changde/problem"
)

// ErrNotRunning is what AttachCluster returns for a folder no server serves.
var ErrNotRunning = errors.New("no server runs on the folder")

// ClusterConfig says where a private cluster lives; see the Linux version.
type ClusterConfig struct {
	Dir     string
	Bin     string
	Durable bool
	Log     *slog.Logger
}

// Cluster is a PostgreSQL server of our own. Only Linux has one.
type Cluster struct{}

// StartCluster is a *problem.Error of kind Unsupported: telling a server's
// processes from others, on which recovery depends, is done by way of /proc.
func StartCluster(context.Context, ClusterConfig) (*Cluster, error) {
	return nil, problem.New(problem.Unsupported, "private-cluster", "",
		"自带的数据库只在 Linux 上运行；请用 docker compose up，或设置 DATABASE_URL 后用 changde serve",
		"the private database runs on Linux only; use docker compose up, or set DATABASE_URL and use changde serve")
}

// AttachCluster is always ErrNotRunning.
func AttachCluster(context.Context, string) (*Cluster, error) { return nil, ErrNotRunning }

// URL is empty.
func (*Cluster) URL() string { return "" }

// Owned is false.
func (*Cluster) Owned() bool { return false }

// Done is nil.
func (*Cluster) Done() <-chan struct{} { return nil }

// LogFile is empty.
func (*Cluster) LogFile() string { return "" }

// Stop does nothing.
func (*Cluster) Stop(context.Context) error { return nil }
