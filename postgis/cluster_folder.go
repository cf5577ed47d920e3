//go:build linux

package postgis

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"changde/problem"
)

const (
	// maxSocketPath leaves room under the 107 bytes a socket's name may have.
	maxSocketPath = 100
	// nobody is the user the server runs under when there is no user postgres.
	nobody = 65534
)

// folders finds the folder and the server's user, and makes what is missing.
func (s *starter) folders(dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("find the data folder: %w", err)
	}
	// The server's user must pass through: others may enter, not write.
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return folderProblem(err, dir)
	}
	// One folder has one name, whatever links lead to it.
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return folderProblem(err, dir)
	}
	s.dir, s.data = dir, filepath.Join(dir, "pg")
	s.name = "changde-" + shortHash(dir)
	s.user = serverUser(s.data)
	if err := s.reach(); err != nil {
		return err
	}
	s.socket = filepath.Join(dir, "run")
	if len(filepath.Join(s.socket, ".s.PGSQL."+clusterPort)) > maxSocketPath {
		s.socket = filepath.Join(os.TempDir(), s.name)
	}
	if err := s.makeOwn(filepath.Join(dir, "log")); err != nil {
		return err
	}
	return s.makeOwn(s.socket)
}

// makeOwn makes a folder of mode 0700 that belongs to the server's user. One
// that is there must be a true folder of that user: another user may have put
// something of its own into the temporary folder.
func (s *starter) makeOwn(path string) error {
	err := os.Mkdir(path, 0o700)
	if err == nil {
		return s.own(path)
	}
	if !errors.Is(err, fs.ErrExist) {
		return folderProblem(err, path)
	}
	info, err := os.Lstat(path)
	if err != nil {
		return folderProblem(err, path)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.IsDir() || int(st.Uid) != s.user.uid && int(st.Uid) != os.Geteuid() {
		return problem.New(problem.Conflict, "folder-foreign", path,
			"该路径不是数据库用户自己的文件夹；请移走它后重试",
			"this path is not a folder of the database user's own; move it away and try again")
	}
	if err := os.Chmod(path, 0o700); err != nil {
		return folderProblem(err, path)
	}
	return s.own(path)
}

func (s *starter) own(path string) error {
	if !s.user.drop {
		return nil
	}
	if err := os.Chown(path, s.user.uid, s.user.gid); err != nil {
		return folderProblem(err, path)
	}
	return nil
}

// account is the user the server runs under; drop is true when that is not us.
type account struct {
	uid, gid int
	drop     bool
}

// serverUser is ourselves, or when we are root: whoever owns the data already,
// then postgres, then nobody. PostgreSQL refuses to run as root.
func serverUser(data string) account {
	if uid := os.Geteuid(); uid != 0 {
		return account{uid: uid, gid: os.Getegid()}
	}
	if info, err := os.Lstat(data); err == nil {
		if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Uid != 0 {
			return account{uid: int(st.Uid), gid: int(st.Gid), drop: true}
		}
	}
	if u, err := user.Lookup("postgres"); err == nil {
		uid, err1 := strconv.Atoi(u.Uid)
		gid, err2 := strconv.Atoi(u.Gid)
		if err1 == nil && err2 == nil && uid != 0 {
			return account{uid: uid, gid: gid, drop: true}
		}
	}
	return account{uid: nobody, gid: nobody, drop: true}
}

// reach sees that the server's user can enter the folder, by trying it.
func (s *starter) reach() error {
	if !s.user.drop {
		return nil
	}
	cmd := exec.Command("/bin/sh", "-c", `cd -- "$1"`, "sh", s.dir)
	cmd.Dir = "/"
	cmd.SysProcAttr = s.attributes()
	err := cmd.Run()
	var exit *exec.ExitError
	if err == nil {
		return nil
	}
	if !errors.As(err, &exit) {
		return fmt.Errorf("act as user %d: %w", s.user.uid, err)
	}
	closed := s.dir
	for dir := s.dir; dir != "/"; dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); err == nil && info.Mode().Perm()&0o001 == 0 {
			closed = dir
		}
	}
	return problem.Wrap(err, problem.Forbidden, "folder-unreachable", s.dir,
		fmt.Sprintf("数据库以用户 %d 运行，无法进入 %s；请用 --data 指定别的文件夹（如 /var/lib/changde），或执行 chmod o+x %s", s.user.uid, closed, closed),
		fmt.Sprintf("the database runs as user %d, who cannot enter %s; name another folder with --data (such as /var/lib/changde), or run chmod o+x %s", s.user.uid, closed, closed))
}

// attributes puts a child into a group of its own, out of reach of Ctrl-C, and
// under the server's user.
func (s *starter) attributes() *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Setpgid: true}
	if s.user.drop {
		a.Credential = &syscall.Credential{Uid: uint32(s.user.uid), Gid: uint32(s.user.gid)}
	}
	return a
}

// lockFolder takes the lock of the folder. The kernel gives it back when the
// process ends, however it ends.
func lockFolder(dir string) (*os.File, error) {
	path := filepath.Join(dir, "lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, folderProblem(err, path)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer f.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		var b [20]byte
		n, _ := f.ReadAt(b[:], 0) // the number is only a help to the reader
		pid := strings.TrimSpace(string(b[:n]))
		return nil, problem.New(problem.Conflict, "folder-in-use", dir,
			fmt.Sprintf("数据文件夹正被另一个 changde 使用（进程 %s）；请先停止它，或用 --data 指定别的文件夹", pid),
			fmt.Sprintf("the data folder is in use by another changde (process %s); stop it first, or name another folder with --data", pid))
	}
	if err := f.Truncate(0); err == nil {
		_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
		if err != nil {
			f.Close()
			return nil, folderProblem(err, path)
		}
	}
	return f, nil
}

// initialise makes the data folder beside its place and moves it there whole,
// so that a folder named pg is always complete.
func (s *starter) initialise(ctx context.Context, srv server) error {
	leftovers, err := filepath.Glob(filepath.Join(s.dir, "pg.tmp-*"))
	if err != nil {
		return fmt.Errorf("look for half-made data: %w", err)
	}
	for _, l := range leftovers {
		if err := os.RemoveAll(l); err != nil {
			return folderProblem(err, l)
		}
	}
	tmp, err := os.MkdirTemp(s.dir, "pg.tmp-")
	if err != nil {
		return folderProblem(err, s.dir)
	}
	defer os.RemoveAll(tmp)
	if err := s.own(tmp); err != nil {
		return err
	}
	// The C.UTF-8 locale compares by code point, as C does, and knows which
	// characters are letters, which trigram search in Chinese needs.
	out, err := s.initdb(ctx, srv, tmp, "C.UTF-8")
	if err != nil && strings.Contains(out, "invalid locale name") {
		out, err = s.initdb(ctx, srv, tmp, "C")
	}
	if err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("make the database: %w", ctx.Err())
		}
		return serverProblem(fmt.Errorf("initdb: %w: %s", err, lastLine(out)), s.dir, out)
	}
	if err := os.Rename(tmp, s.data); err != nil {
		return folderProblem(err, s.data)
	}
	return syncFolder(s.dir)
}

func (s *starter) initdb(ctx context.Context, srv server, dir, locale string) (string, error) {
	args := []string{
		"-D", dir, "-U", clusterUser, "--encoding=UTF8", "--locale=" + locale,
		"--auth-local=trust", "--auth-host=reject", "--data-checksums",
	}
	if !s.durable {
		args = append(args, "--no-sync")
	}
	cmd := exec.CommandContext(ctx, filepath.Join(srv.bin, "initdb"), args...)
	cmd.Dir = dir
	cmd.Env = serverEnv(srv.bin)
	cmd.SysProcAttr = s.attributes()
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// serverEnv is all the server sees of our environment. Messages are English so
// that their meaning can be told.
func serverEnv(bin string) []string {
	return []string{"PATH=" + bin + ":/usr/bin:/bin", "LC_ALL=C", "TZ=" + os.Getenv("TZ")}
}

func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return folderProblem(err, dir)
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		return folderProblem(err, dir)
	}
	return nil
}

// folderProblem says what is wrong with a folder in words of its owner.
func folderProblem(err error, path string) error {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return diskFull(err, path)
	case errors.Is(err, syscall.EROFS), errors.Is(err, fs.ErrPermission):
		return problem.Wrap(err, problem.Forbidden, "folder-unwritable", path,
			"没有写入该文件夹的权限，或其所在磁盘为只读；请更改权限，或用 --data 指定别的文件夹",
			"the folder may not be written, or its disk is read-only; change its rights, or name another folder with --data")
	case errors.Is(err, syscall.ENOTDIR):
		return problem.Wrap(err, problem.Invalid, "folder-is-file", path,
			"路径中有一段是文件而不是文件夹；请用 --data 指定别的文件夹",
			"a part of this path is a file, not a folder; name another folder with --data")
	}
	return fmt.Errorf("data folder: %w", err)
}

func diskFull(err error, path string) error {
	return problem.Wrap(err, problem.Busy, "disk-full", path,
		"磁盘已满；请清出空间，或用 --data 指定别的磁盘上的文件夹",
		"the disk is full; free some space, or name a folder on another disk with --data")
}

func shortHash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:6])
}
