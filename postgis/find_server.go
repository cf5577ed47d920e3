//go:build linux

package postgis

// FindServer returns the folder of the programs that StartCluster would use for a
// folder yet to be made; bin is ClusterConfig.Bin. Its problems are
// StartCluster's.
func FindServer(bin string) (dir string, err error) {
	s, err := findServer(bin, 0, "")
	return s.bin, err
}
