package postgis

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// endWithParent asks the kernel to stop the server when this process ends,
// however it ends.
func endWithParent(a *syscall.SysProcAttr) { a.Pdeathsig = syscall.SIGQUIT }

// commandLine is the command line of a process, nil when there is none. Unlike
// the current folder of a process everybody may read it.
func commandLine(pid int) []string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil || len(b) == 0 {
		return nil
	}
	return strings.Split(string(bytes.TrimRight(b, "\x00")), "\x00")
}

// processesTitled lists the processes whose title begins so.
func processesTitled(prefix string) []int {
	proc, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer proc.Close()
	names, err := proc.Readdirnames(-1)
	if err != nil {
		return nil
	}
	var pids []int
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if args := commandLine(pid); len(args) > 0 && strings.HasPrefix(args[0], prefix) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// machineMemory is the memory in bytes this process may use: the machine's, or
// less when its control group has a limit. 0 when it cannot be told.
func machineMemory() int64 {
	var info syscall.Sysinfo_t
	if err := syscall.Sysinfo(&info); err != nil {
		return 0
	}
	memory := int64(info.Totalram) * int64(info.Unit)
	for _, path := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		if b, err := os.ReadFile(path); err == nil {
			if n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64); err == nil && n > 0 {
				memory = min(memory, n)
			}
		}
	}
	return memory
}

// smallSharedMemory reports whether /dev/shm is too small for parallel queries.
func smallSharedMemory() bool {
	var st syscall.Statfs_t
	err := syscall.Statfs("/dev/shm", &st)
	return err != nil || int64(st.Blocks)*st.Bsize < 256<<20
}
