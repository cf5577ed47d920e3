//go:build !linux

package postgistest

// removeStale has nothing to remove: servers are started on Linux only.
func removeStale() {}
