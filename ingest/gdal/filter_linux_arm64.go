package gdal

import "golang.org/x/sys/unix"

const archNumber = unix.AUDIT_ARCH_AARCH64

var archRefused []uint32
