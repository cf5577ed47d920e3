package gdal

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// refused are system calls no conversion needs. They make sockets, reach other
// processes of the same user, change the access to files (which Landlock does not
// watch), or open parts of the kernel that have had faults.
var refused = []uint32{
	unix.SYS_SOCKET, unix.SYS_SOCKETPAIR, unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER,
	unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_PROCESS_MADVISE, unix.SYS_PIDFD_OPEN,
	unix.SYS_PIDFD_GETFD, unix.SYS_PIDFD_SEND_SIGNAL, unix.SYS_KCMP, unix.SYS_RT_SIGQUEUEINFO, unix.SYS_RT_TGSIGQUEUEINFO,
	unix.SYS_SETPRIORITY, unix.SYS_IOPRIO_SET, unix.SYS_SCHED_SETATTR, unix.SYS_SCHED_SETSCHEDULER, unix.SYS_SCHED_SETPARAM,
	unix.SYS_FCHMOD, unix.SYS_FCHMODAT, unix.SYS_FCHMODAT2, unix.SYS_FCHOWN, unix.SYS_FCHOWNAT, unix.SYS_SETXATTR, unix.SYS_LSETXATTR,
	unix.SYS_FSETXATTR, unix.SYS_REMOVEXATTR, unix.SYS_LREMOVEXATTR, unix.SYS_FREMOVEXATTR, unix.SYS_UTIMENSAT,
	unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_CHROOT, unix.SYS_UNSHARE, unix.SYS_SETNS, unix.SYS_MOVE_MOUNT,
	unix.SYS_OPEN_TREE, unix.SYS_FSOPEN, unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD,
	unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY, unix.SYS_KEYCTL, unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE,
	unix.SYS_KEXEC_LOAD, unix.SYS_REBOOT, unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_ACCT, unix.SYS_QUOTACTL,
	unix.SYS_SHMGET, unix.SYS_MSGGET, unix.SYS_SEMGET, unix.SYS_MQ_OPEN, unix.SYS_VHANGUP,
}

// Offsets in struct seccomp_data; the low half of an argument comes first on the
// little-endian machines that archNumber lists.
const (
	offNumber = 0
	offArch   = 4
	offArg0   = 16
)

const (
	load    = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
	equal   = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
	least   = unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K
	bitSet  = unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K
	verdict = unix.BPF_RET | unix.BPF_K
)

// filter refuses, to the calling thread and what it becomes, the calls of refused
// with EPERM; clone unless it makes a thread; signals and limits that aim at another
// process. clone3, whose flags a filter cannot see, is said not to exist: the C
// library then uses clone.
func filter() error {
	if archNumber == 0 {
		return unix.ENOSYS
	}
	const deny = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
	ret := func(k uint32) unix.SockFilter { return unix.SockFilter{Code: verdict, K: k} }
	p := []unix.SockFilter{
		{Code: load, K: offArch},
		{Code: equal, K: archNumber, Jt: 1},
		ret(unix.SECCOMP_RET_KILL_PROCESS),
		{Code: load, K: offNumber},
	}
	if archNumber == unix.AUDIT_ARCH_X86_64 {
		p = append(p, unix.SockFilter{Code: least, K: 0x40000000, Jf: 1}, ret(deny)) // the calls of x32
	}
	for _, n := range append(refused[:len(refused):len(refused)], archRefused...) {
		p = append(p, unix.SockFilter{Code: equal, K: n, Jf: 1}, ret(deny))
	}
	p = append(p,
		unix.SockFilter{Code: equal, K: unix.SYS_CLONE3, Jf: 1}, ret(unix.SECCOMP_RET_ERRNO|uint32(unix.ENOSYS)),
		unix.SockFilter{Code: equal, K: unix.SYS_CLONE, Jf: 4},
		unix.SockFilter{Code: load, K: offArg0},
		unix.SockFilter{Code: bitSet, K: unix.CLONE_THREAD, Jf: 1}, ret(unix.SECCOMP_RET_ALLOW), ret(deny),
	)
	// The identifier does not change when the program is executed.
	self := uint32(unix.Getpid())
	for _, n := range []uint32{unix.SYS_KILL, unix.SYS_TGKILL, unix.SYS_TKILL} {
		p = append(p, unix.SockFilter{Code: equal, K: n, Jf: 4}, unix.SockFilter{Code: load, K: offArg0},
			unix.SockFilter{Code: equal, K: self, Jf: 1}, ret(unix.SECCOMP_RET_ALLOW), ret(deny))
	}
	for _, n := range []uint32{unix.SYS_PRLIMIT64, unix.SYS_SCHED_SETAFFINITY} {
		p = append(p, unix.SockFilter{Code: equal, K: n, Jf: 5}, unix.SockFilter{Code: load, K: offArg0},
			unix.SockFilter{Code: equal, K: 0, Jt: 1}, unix.SockFilter{Code: equal, K: self, Jf: 1}, ret(unix.SECCOMP_RET_ALLOW), ret(deny))
	}
	p = append(p, ret(unix.SECCOMP_RET_ALLOW))
	program := unix.SockFprog{Len: uint16(len(p)), Filter: &p[0]}
	err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0)
	runtime.KeepAlive(p)
	return err
}
