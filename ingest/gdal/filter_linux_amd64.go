package gdal

import "golang.org/x/sys/unix"

const archNumber = unix.AUDIT_ARCH_X86_64

// archRefused are older calls that do what others of refused do.
var archRefused = []uint32{
	unix.SYS_FORK, unix.SYS_VFORK, unix.SYS_CHMOD, unix.SYS_CHOWN, unix.SYS_LCHOWN, unix.SYS_UTIME, unix.SYS_UTIMES, unix.SYS_FUTIMESAT,
	unix.SYS_IOPL, unix.SYS_IOPERM, unix.SYS_MODIFY_LDT,
}
