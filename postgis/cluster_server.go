//go:build linux

package postgis

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"changde/problem"
)

// server is an installed PostgreSQL: the folder of its programs, its major
// version, whether PostGIS is installed for it and whether it was built with LZ4.
type server struct {
	bin     string
	major   int
	postgis bool
	lz4     bool
}

// findServer picks the server for a data folder of the given major version, 0
// for a folder yet to be made.
func findServer(bin string, major int, where string) (server, error) {
	var all []server
	for _, dir := range serverFolders(bin) {
		if s, ok := inspectServer(dir); ok {
			all = append(all, s)
		}
	}
	if len(all) == 0 {
		if bin != "" {
			where = bin
		}
		return server{}, problem.New(problem.Unsupported, "postgresql-missing", where,
			"本机没有找到 PostgreSQL 服务器；请执行 sudo apt-get install postgresql postgresql-postgis（或 make setup）",
			"no PostgreSQL server was found on this machine; run sudo apt-get install postgresql postgresql-postgis (or make setup)")
	}
	if major != 0 {
		all = slices.DeleteFunc(all, func(s server) bool { return s.major != major })
		if len(all) == 0 {
			return server{}, problem.New(problem.Conflict, "postgresql-version", where,
				fmt.Sprintf("数据文件夹由 PostgreSQL %d 建立，本机没有该版本；请安装 postgresql-%d-postgis-3，或用 --data 指定别的文件夹", major, major),
				fmt.Sprintf("the data folder was made by PostgreSQL %d, which is not on this machine; install postgresql-%d-postgis-3, or name another folder with --data", major, major))
		}
	}
	for _, s := range all {
		if s.postgis {
			return s, nil
		}
	}
	return server{}, problem.New(problem.Unsupported, "postgis-missing", all[0].bin,
		fmt.Sprintf("找到了 PostgreSQL %d，但没有 PostGIS；请执行 sudo apt-get install postgresql-%d-postgis-3（或 make setup）", all[0].major, all[0].major),
		fmt.Sprintf("PostgreSQL %d is here but PostGIS is not; run sudo apt-get install postgresql-%d-postgis-3 (or make setup)", all[0].major, all[0].major))
}

// serverFolders lists the folders to look in, best first.
func serverFolders(bin string) []string {
	if bin != "" {
		return []string{bin}
	}
	var dirs []string
	add := func(dir string) {
		if real, err := filepath.EvalSymlinks(dir); err == nil && !slices.Contains(dirs, real) {
			dirs = append(dirs, real)
		}
	}
	if p, err := exec.LookPath("postgres"); err == nil {
		if real, err := filepath.EvalSymlinks(p); err == nil {
			add(filepath.Dir(real))
		}
	}
	if out, err := exec.Command("pg_config", "--bindir").Output(); err == nil {
		add(strings.TrimSpace(string(out)))
	}
	var usual []string
	for _, pattern := range []string{"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/local/pgsql*/bin", "/opt/homebrew/opt/postgresql@*/bin"} {
		found, _ := filepath.Glob(pattern) // the patterns are well-formed
		usual = append(usual, found...)
	}
	slices.SortStableFunc(usual, func(a, b string) int { return versionIn(b) - versionIn(a) })
	for _, dir := range usual {
		add(dir)
	}
	return dirs
}

// versionIn reads the last number in a path such as /usr/lib/postgresql/15/bin.
func versionIn(path string) int {
	n := strings.FieldsFunc(path, func(r rune) bool { return r < '0' || r > '9' })
	if len(n) == 0 {
		return 0
	}
	v, _ := strconv.Atoi(n[len(n)-1]) // digits only; an absurd number sorts as 0
	return v
}

func inspectServer(bin string) (server, bool) {
	for _, program := range []string{"postgres", "initdb"} {
		if info, err := os.Stat(filepath.Join(bin, program)); err != nil || info.IsDir() {
			return server{}, false
		}
	}
	out, err := exec.Command(filepath.Join(bin, "postgres"), "--version").Output()
	if err != nil {
		return server{}, false
	}
	s := server{bin: bin, major: firstNumber(string(out))}
	if s.major == 0 {
		return server{}, false
	}
	shares := []string{
		fmt.Sprintf("/usr/share/postgresql/%d", s.major),
		filepath.Join(bin, "../share/postgresql"), filepath.Join(bin, "../share"),
	}
	config := filepath.Join(bin, "pg_config")
	if out, err := exec.Command(config, "--sharedir", "--configure").Output(); err == nil {
		dir, how, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
		shares = []string{dir}
		s.lz4 = s.major >= 15 && strings.Contains(how, "--with-lz4")
	}
	for _, dir := range shares {
		if _, err := os.Stat(filepath.Join(dir, "extension", "postgis.control")); err == nil {
			s.postgis = true
		}
	}
	return s, true
}

// firstNumber reads 15 from "postgres (PostgreSQL) 15.8 (Debian 15.8-0)".
func firstNumber(s string) int {
	i := strings.IndexAny(s, "0123456789")
	if i < 0 {
		return 0
	}
	s = s[i:]
	if j := strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' }); j >= 0 {
		s = s[:j]
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return n
}

// settings are the command line of the server, made from the machine at each
// start so that the folder can move to another.
func (s *starter) settings(srv server) []string {
	const mb = 1 << 20
	memory := machineMemory() / mb
	if memory == 0 {
		memory = 2048
	}
	buffers := min(max(memory/4, 128), 2048)
	compression := "on"
	if srv.lz4 {
		compression = "lz4"
	}
	set := []string{
		"cluster_name=" + s.name,
		"listen_addresses=",
		"port=" + clusterPort,
		"unix_socket_directories=" + s.socket,
		"unix_socket_permissions=0700",
		"password_encryption=scram-sha-256",
		"max_connections=200",
		fmt.Sprintf("effective_cache_size=%dMB", max(memory/2, 256)),
		fmt.Sprintf("maintenance_work_mem=%dMB", min(max(memory/16, 64), 1024)),
		fmt.Sprintf("work_mem=%dMB", min(max(memory/256, 4), 64)),
		// Nobody replicates a private cluster; without it a table filled in the
		// transaction that makes it is not written twice.
		"wal_level=minimal",
		"max_wal_senders=0",
		"wal_compression=" + compression,
		"checkpoint_completion_target=0.9",
		"random_page_cost=1.1",
		"jit=off",
		"log_destination=stderr",
		"logging_collector=off",
		"log_line_prefix=%m [%p] %q%a ",
		"log_min_messages=warning",
		"log_checkpoints=off",
		"log_autovacuum_min_duration=-1",
	}
	if smallSharedMemory() {
		// Containers often give /dev/shm 64 MB, which a parallel query outgrows.
		set = append(set, "dynamic_shared_memory_type=sysv")
	}
	if s.durable {
		set = append(set, "fsync=on", "synchronous_commit=on", "full_page_writes=on",
			fmt.Sprintf("shared_buffers=%dMB", buffers), "max_wal_size=4GB", "checkpoint_timeout=15min",
			// A release writes a hundred megabytes of log within a second: into a buffer
			// that the log writer empties all the while, not at the commit alone, and into
			// files that are there.
			"wal_buffers=64MB", "wal_writer_delay=10ms", "min_wal_size=1GB")
	} else {
		set = append(set, "fsync=off", "synchronous_commit=off", "full_page_writes=off",
			fmt.Sprintf("shared_buffers=%dMB", min(buffers, 128)), "max_wal_size=2GB", "checkpoint_timeout=1h")
	}
	return set
}
