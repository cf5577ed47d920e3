//go:build linux

package postgis

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"changde/problem"
)

// The log of the server, and how far it may grow before its older part is moved
// aside. The two files together stay below twice that.
const (
	logName  = "postgres.log"
	logBytes = 8 << 20
	logPoll  = 5 * time.Second
)

// starter is what is known while a cluster starts.
type starter struct {
	dir, data, socket string
	name              string // cluster_name: in the title of each of its processes
	user              account
	durable           bool
	log               *slog.Logger
}

// run brings the server of the folder up; the caller holds the lock.
func (s *starter) run(ctx context.Context, bin string) (*Cluster, error) {
	major, err := dataVersion(s.data)
	if err != nil {
		return nil, err
	}
	if major != 0 {
		cl, err := s.adopt(ctx)
		if cl != nil || err != nil {
			return cl, err
		}
	}
	srv, err := findServer(bin, major, s.dir)
	if err != nil {
		return nil, err
	}
	if major == 0 {
		s.log.Info("make the database", "folder", s.data, "postgresql", srv.major)
		if err := s.initialise(ctx, srv); err != nil {
			return nil, err
		}
	}
	cl, err := s.start(ctx, srv)
	if err != nil {
		return nil, err
	}
	if err := cl.ensureDatabase(ctx); err != nil {
		return nil, errors.Join(err, cl.shutdown(context.WithoutCancel(ctx)))
	}
	return cl, nil
}

// dataVersion reads the major version that made a data folder, 0 for none.
func dataVersion(data string) (int, error) {
	b, err := os.ReadFile(filepath.Join(data, "PG_VERSION"))
	if err == nil {
		if n := firstNumber(string(b)); n > 0 {
			return n, nil
		}
	} else if !errors.Is(err, os.ErrNotExist) {
		return 0, folderProblem(err, data)
	}
	entries, err := os.ReadDir(data)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return 0, nil
	case err != nil:
		return 0, folderProblem(err, data)
	case len(entries) == 0:
		// Nothing is lost, and the finished folder can be moved here.
		if err := os.Remove(data); err != nil {
			return 0, folderProblem(err, data)
		}
		return 0, nil
	}
	return 0, problem.New(problem.Conflict, "folder-foreign", data,
		"该文件夹不是 PostgreSQL 的数据；请移走它，或用 --data 指定别的文件夹",
		"this folder holds something other than PostgreSQL data; move it away, or name another folder with --data")
}

// adopt takes over a server that outlived the process that started it, and
// clears away what a killed one left. It returns nil when none is running.
func (s *starter) adopt(ctx context.Context) (*Cluster, error) {
	p, err := readPidFile(s.data)
	running := err == nil && s.isServer(p.pid)
	if running {
		cl := &Cluster{dir: s.dir, socket: p.socket, pid: p.pid, owned: true, log: s.log, exited: make(chan struct{})}
		go cl.watchPid(s)
		s.log.Info("take over the running database server", "pid", p.pid)
		err := s.ready(ctx, cl)
		if err == nil && s.sameDurability(ctx, cl) {
			return cl, cl.ensureDatabase(ctx)
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("take over the database server: %w", ctx.Err())
		}
		s.log.Info("restart the database server", "pid", p.pid)
		if err := cl.shutdown(ctx); err != nil {
			return nil, err
		}
	}
	if err := s.killLeftovers(ctx); err != nil {
		return nil, err
	}
	return nil, s.removeStale()
}

// sameDurability reports whether a server that was found running keeps the
// promise of this start.
func (s *starter) sameDurability(ctx context.Context, c *Cluster) bool {
	conn, err := c.connect(ctx, "postgres")
	if err != nil {
		return false
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var fsync string
	err = conn.QueryRow(ctx, "SHOW fsync").Scan(&fsync)
	return err == nil && (fsync == "on") == s.durable
}

// start runs the server as our child and waits until it answers.
func (s *starter) start(ctx context.Context, srv server) (*Cluster, error) {
	logFile, from, err := s.openLog()
	if err != nil {
		return nil, err
	}
	defer logFile.Close()
	args := []string{"-D", s.data}
	for _, set := range s.settings(srv) {
		args = append(args, "-c", set)
	}
	cmd := exec.Command(filepath.Join(srv.bin, "postgres"), args...)
	cmd.Dir = s.data
	cmd.Env = serverEnv(srv.bin)
	cmd.Stdout, cmd.Stderr = logFile, logFile
	cmd.SysProcAttr = s.attributes()
	if !s.durable {
		endWithParent(cmd.SysProcAttr)
	}
	cl := &Cluster{dir: s.dir, socket: s.socket, owned: true, log: s.log, exited: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The kernel ties the end of the parent to the thread that made the child.
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			err = cmd.Wait()
			s.log.Debug("the database server ended", "pid", cmd.Process.Pid, "error", err)
			close(cl.exited)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	cl.pid = cmd.Process.Pid
	if err := s.ready(ctx, cl); err != nil {
		select {
		case <-cl.exited:
			return nil, serverProblem(err, s.dir, logSince(cl.LogFile(), from))
		default:
			return nil, errors.Join(err, cl.shutdown(context.WithoutCancel(ctx)))
		}
	}
	s.log.Info("the database server is up", "pid", cl.pid, "postgresql", srv.major, "folder", s.dir)
	return cl, nil
}

// ready waits until the server answers, ends, or ctx does.
func (s *starter) ready(ctx context.Context, c *Cluster) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	began := time.Now()
	said := began
	for {
		conn, err := c.connect(ctx, "postgres")
		if err == nil {
			return conn.Close(ctx)
		}
		if time.Since(said) > logPoll {
			s.log.Info("the database server is not ready yet; after a crash it replays its log", "error", err)
			said = time.Now()
		}
		if errors.Is(err, syscall.ENOENT) && time.Since(began) > socketTimeout {
			return fmt.Errorf("the database server has no socket in %s: %w", c.socket, err)
		}
		timer := time.NewTimer(readyPoll)
		select {
		case <-c.exited:
			timer.Stop()
			return fmt.Errorf("the database server ended while starting; see %s", c.LogFile())
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("wait for the database server: %w", errors.Join(ctx.Err(), err))
		case <-timer.C:
		}
	}
}

// pidFile is what postmaster.pid says.
type pidFile struct {
	pid    int
	socket string
}

// readPidFile reads postmaster.pid: the number of the process, the data folder,
// the time, the port and the folder of the socket, one a line.
func readPidFile(data string) (pidFile, error) {
	b, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	if err != nil {
		return pidFile{}, err
	}
	lines := strings.Split(string(b), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(lines[0]))
	if err != nil || pid <= 1 || len(lines) < 5 {
		return pidFile{}, fmt.Errorf("%s/postmaster.pid is not complete", data)
	}
	return pidFile{pid: pid, socket: lines[4]}, nil
}

// isServer reports whether the process is the server of this folder. A number
// alone is no proof: after a reboot it may be anybody's.
func (s *starter) isServer(pid int) bool {
	args := commandLine(pid)
	if args == nil {
		return false
	}
	for i := range args {
		if args[i] == "-D" && i+1 < len(args) && args[i+1] == s.data {
			return true
		}
	}
	return false
}

// watchPid closes exited when a server that is not our child ends.
func (c *Cluster) watchPid(s *starter) {
	for s.isServer(c.pid) {
		time.Sleep(50 * time.Millisecond)
	}
	close(c.exited)
}

// killLeftovers ends the processes that outlived their server: until they go,
// a new one is refused. What they had not committed is gone in any case.
func (s *starter) killLeftovers(ctx context.Context) error {
	for range 200 {
		pids := processesTitled("postgres: " + s.name + ": ")
		if len(pids) == 0 {
			return nil
		}
		for _, pid := range pids {
			s.log.Info("end a process left by a killed database server", "pid", pid)
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("end the leftover process %d: %w", pid, err)
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	return fmt.Errorf("processes of a killed database server on %s do not end", s.dir)
}

// removeStale removes the lock files of a server that is known to be gone, lest
// a process that got its number be taken for it.
func (s *starter) removeStale() error {
	for _, path := range []string{
		filepath.Join(s.data, "postmaster.pid"),
		filepath.Join(s.socket, ".s.PGSQL."+clusterPort+".lock"),
	} {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return folderProblem(err, path)
		}
	}
	return nil
}

// openLog opens the log for the server to append to, and says where it ends.
func (s *starter) openLog() (*os.File, int64, error) {
	path := filepath.Join(s.dir, "log", logName)
	if err := rotateLog(path); err != nil {
		return nil, 0, folderProblem(err, path)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, 0, folderProblem(err, path)
	}
	if err := s.own(path); err != nil {
		f.Close()
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, 0, folderProblem(err, path)
	}
	return f, info.Size(), nil
}

// watchLog keeps the log within its bound while the server runs.
func (c *Cluster) watchLog() {
	ticker := time.NewTicker(logPoll)
	defer ticker.Stop()
	for {
		select {
		case <-c.exited:
			return
		case <-ticker.C:
			if err := rotateLog(c.LogFile()); err != nil {
				c.log.Warn("the log of the database server cannot be moved aside", "error", err)
			}
		}
	}
}

// rotateLog copies a log that is too long to a second file and empties it. The
// server appends, so it goes on writing at the new end without being told.
func rotateLog(path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) || err == nil && info.Size() < logBytes {
		return nil
	}
	if err != nil {
		return err
	}
	tail, err := os.Open(path)
	if err != nil {
		return err
	}
	defer tail.Close()
	if _, err := tail.Seek(max(0, info.Size()-logBytes), io.SeekStart); err != nil {
		return err
	}
	old, err := os.OpenFile(path+".1", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(old, io.LimitReader(tail, logBytes))
	// A full disk must not keep the log from being emptied.
	return errors.Join(err, old.Close(), os.Truncate(path, 0))
}

// logSince reads what the server wrote after an offset, at most 64 KiB of it.
func logSince(path string, from int64) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	b, _ := io.ReadAll(io.NewSectionReader(f, from, 64<<10)) // a part is better than nothing
	return string(b)
}

// serverProblem finds the reason in what initdb or the server wrote.
func serverProblem(err error, dir, out string) error {
	switch {
	case strings.Contains(out, "No space left on device"), strings.Contains(out, "Disk quota exceeded"):
		return diskFull(err, dir)
	case strings.Contains(out, "Read-only file system"), strings.Contains(out, "Permission denied"):
		return folderProblem(fmt.Errorf("%w: %w", os.ErrPermission, err), dir)
	case strings.Contains(out, "could not map anonymous shared memory"), strings.Contains(out, "Cannot allocate memory"):
		return problem.Wrap(err, problem.Busy, "memory-short", dir,
			"内存不足，数据库无法启动；请关闭其他程序后重试", "there is not enough memory to start the database; close other programs and try again")
	}
	if line := lastLine(out); line != "" {
		return fmt.Errorf("%w: %s", err, line)
	}
	return err
}

// lastLine picks the line that tells the reason: the last that is an error.
func lastLine(out string) string {
	lines := bytes.Split(bytes.TrimSpace([]byte(out)), []byte("\n"))
	best := lines[len(lines)-1]
	for _, l := range lines {
		for _, mark := range []string{"FATAL:", "PANIC:", "error:"} {
			if bytes.Contains(l, []byte(mark)) {
				best = l
			}
		}
	}
	return string(bytes.TrimSpace(best))
}
