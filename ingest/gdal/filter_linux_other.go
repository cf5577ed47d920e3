//go:build linux && !amd64 && !arm64

package gdal

// archNumber 0: there is no filter for this machine.
const archNumber = 0

var archRefused []uint32
