//go:build linux

package postgis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"changde/problem"
)

// The names of a private cluster: its superuser, its database, and the port
// that ends the name of its socket. Nothing listens on that port.
const (
	clusterUser     = "changde"
	clusterDatabase = "changde"
	clusterPort     = "5432"
)

// The waits of starting and stopping. A server that was killed replays its log
// before it answers, hence the long first one; its socket it makes before that.
const (
	readyTimeout   = 10 * time.Minute
	fastTimeout    = 30 * time.Second
	quitTimeout    = 10 * time.Second
	readyPoll      = 15 * time.Millisecond
	socketTimeout  = 5 * time.Second
	connectAttempt = 5 * time.Second
)

// ErrNotRunning is what AttachCluster returns for a folder no server serves.
var ErrNotRunning = errors.New("no server runs on the folder")

// ClusterConfig says where a private cluster lives. Only Dir is required.
type ClusterConfig struct {
	// Dir is the folder that holds all of it: pg (data), run (socket), log, lock.
	// It is made when absent. As root, the server runs under another user, who
	// must be able to reach the folder.
	Dir string
	// Bin is the folder of initdb and postgres. Empty: the first of PATH,
	// pg_config --bindir and the usual places that has PostGIS, newest first.
	Bin string
	// Durable keeps what was committed, whatever dies. False is for tests: fsync
	// off, and on Linux the server ends with this process.
	Durable bool
	// Log is told what happens. Nil: nothing is told.
	Log *slog.Logger
}

// Cluster is a PostgreSQL server of our own over a Unix socket: no TCP port, no
// password; who may enter its folder of mode 0700 is its superuser. Its methods
// are safe for concurrent use.
type Cluster struct {
	dir    string
	socket string
	pid    int
	owned  bool
	lock   *os.File
	log    *slog.Logger
	exited chan struct{}

	stop    sync.Once
	stopErr error
}

// StartCluster starts the server of a folder and makes the folder first when it
// is not there: about a second the first time, a fraction of one later. It
// returns when the server answers and the database changde exists; PostGIS is
// installed but CREATE EXTENSION is left to the migrations.
//
// It holds a lock on the folder until Stop, so there is one owner at a time. A
// server that outlived its owner is taken over, a half-made folder is made
// again, and one whose server was killed recovers. Everything a person can mend
// is a *problem.Error: no PostgreSQL or no PostGIS on the machine, the folder in
// use, read-only, unreachable for the server's user, of another version of
// PostgreSQL, or a full disk.
func StartCluster(ctx context.Context, c ClusterConfig) (*Cluster, error) {
	if c.Dir == "" {
		return nil, problem.New(problem.Invalid, "data-folder", "", "没有指定数据文件夹", "no data folder was given")
	}
	log := c.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &starter{durable: c.Durable, log: log}
	if err := s.folders(c.Dir); err != nil {
		return nil, err
	}
	lock, err := lockFolder(s.dir)
	if err != nil {
		return nil, err
	}
	cl, err := s.run(ctx, c.Bin)
	if err != nil {
		lock.Close()
		return nil, err
	}
	cl.lock = lock
	go cl.watchLog()
	return cl, nil
}

// AttachCluster finds the server that another process runs on the folder. The
// cluster it returns is not owned: Stop leaves the server alone. It is
// ErrNotRunning when nothing answers there.
func AttachCluster(ctx context.Context, dir string) (*Cluster, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("find the data folder: %w", err)
	}
	p, err := readPidFile(filepath.Join(dir, "pg"))
	if err != nil {
		if errors.Is(err, os.ErrPermission) {
			return nil, folderProblem(err, dir)
		}
		return nil, fmt.Errorf("%s: %w", dir, ErrNotRunning)
	}
	cl := &Cluster{dir: dir, socket: p.socket, pid: p.pid, log: slog.New(slog.DiscardHandler)}
	conn, err := cl.connect(ctx, clusterDatabase)
	if err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("attach to %s: %w", dir, ctx.Err())
		}
		return nil, fmt.Errorf("%s: %w", dir, ErrNotRunning)
	}
	return cl, conn.Close(ctx)
}

// URL is the libpq connection URI of the database changde, for pgx, psql and
// GDAL alike.
func (c *Cluster) URL() string { return c.url(clusterDatabase) }

// Owned reports whether Stop will stop the server.
func (c *Cluster) Owned() bool { return c.owned }

// Done is closed when an owned server has ended, asked or not. It is nil for a
// cluster that is not owned.
func (c *Cluster) Done() <-chan struct{} { return c.exited }

// LogFile is where the server writes its log.
func (c *Cluster) LogFile() string { return filepath.Join(c.dir, "log", logName) }

// Stop ends the server: open transactions are rolled back, a checkpoint is
// written, the lock on the folder is given back. When ctx ends or half a minute
// has passed, the server is told to leave at once, which loses nothing that was
// committed. It does nothing the second time and for a cluster not owned.
func (c *Cluster) Stop(ctx context.Context) error {
	if !c.owned {
		return nil
	}
	c.stop.Do(func() {
		c.stopErr = c.shutdown(ctx)
		if c.stopErr == nil && filepath.Dir(c.socket) != c.dir {
			os.Remove(c.socket) // a short folder elsewhere; it is empty now, or not ours to remove
		}
		c.lock.Close()
	})
	return c.stopErr
}

func (c *Cluster) shutdown(ctx context.Context) error {
	steps := []struct {
		signal syscall.Signal
		wait   time.Duration
	}{{syscall.SIGINT, fastTimeout}, {syscall.SIGQUIT, quitTimeout}, {syscall.SIGKILL, quitTimeout}}
	for i, step := range steps {
		select {
		case <-c.exited:
			return nil
		default:
		}
		c.log.Debug("stop the database server", "pid", c.pid, "signal", step.signal.String())
		if err := syscall.Kill(c.pid, step.signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("stop the database server %d: %w", c.pid, err)
		}
		done := ctx.Done()
		if i > 0 {
			done = nil
		}
		timer := time.NewTimer(step.wait)
		select {
		case <-c.exited:
			timer.Stop()
			return nil
		case <-done:
			timer.Stop()
		case <-timer.C:
		}
	}
	return fmt.Errorf("the database server %d does not end", c.pid)
}

func (c *Cluster) url(database string) string {
	q := url.Values{"host": {c.socket}, "port": {clusterPort}, "user": {clusterUser}, "sslmode": {"disable"}}
	// libpq takes + for itself, not for a space.
	return "postgres:///" + database + "?" + strings.ReplaceAll(q.Encode(), "+", "%20")
}

func (c *Cluster) connect(ctx context.Context, database string) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectAttempt)
	defer cancel()
	return pgx.Connect(ctx, c.url(database))
}

// ensureDatabase makes the database on the first start.
func (c *Cluster) ensureDatabase(ctx context.Context) error {
	conn, err := c.connect(ctx, "postgres")
	if err != nil {
		return fmt.Errorf("connect to the private cluster: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var exists bool
	err = conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)`, clusterDatabase).Scan(&exists)
	if err != nil {
		return fmt.Errorf("look for the database %s: %w", clusterDatabase, err)
	}
	if exists {
		return nil
	}
	// The platform has a schema named like the user, which PostgreSQL would take
	// for the user's own and put before public.
	q := new(SQL).Raw("ALTER ROLE ").Ident(clusterUser).Raw(" SET search_path = public")
	if _, err := conn.Exec(ctx, q.String()); err != nil {
		return fmt.Errorf("set the search path of %s: %w", clusterUser, err)
	}
	if _, err := conn.Exec(ctx, new(SQL).Raw("CREATE DATABASE ").Ident(clusterDatabase).String()); err != nil {
		return fmt.Errorf("create the database %s: %w", clusterDatabase, err)
	}
	return nil
}
