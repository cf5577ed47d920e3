package tiles

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"changde/postgis/postgistest"
	"changde/problem"
)

// insideMounts in the environment says that the process has mounts of its own.
const insideMounts = "CHANGDE_TEST_MOUNTS"

// A disk that is full is told as such, and nothing is left on it. The test runs in a
// process of its own, which alone sees the disk.
func TestExportFullDisk(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts PostgreSQL; skipped under -short")
	}
	if os.Getenv(insideMounts) == "" {
		c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestExportFullDisk$", "-test.v")
		c.Env = append(os.Environ(), insideMounts+"=1")
		c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
		out, err := c.CombinedOutput()
		var exit *exec.ExitError
		switch {
		case err != nil && !errors.As(err, &exit):
			t.Skipf("a disk of its own cannot be mounted here (root may): %v", err)
		case err != nil:
			t.Errorf("%v\n%s", err, out)
		case strings.Contains(string(out), "--- SKIP"):
			t.Skipf("%s", out)
		}
		return
	}
	pool := postgistest.New(t)
	parts := partsOf(cadastre(t, pool, 60), streets(t, pool))
	dir := t.TempDir()
	if err := syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		t.Skipf("a disk of its own cannot be mounted here: %v", err)
	}
	for _, size := range []string{"200k", "16m"} {
		disk := filepath.Join(dir, size)
		if err := os.Mkdir(disk, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size="+size); err != nil {
			t.Skipf("a disk of its own cannot be mounted here: %v", err)
		}
		defer func() { _ = syscall.Unmount(disk, 0) }()
		for _, format := range []string{"pmtiles", "mbtiles"} {
			// The large disk is full once the layers are spilled.
			ballast := filepath.Join(disk, "ballast")
			joining := false
			_, err := Export(t.Context(), pool, Pack{Path: filepath.Join(disk, "city."+format), Parts: parts, MaxZoom: 15, Progress: func(p Progress) {
				if p.Dataset == "" && !joining {
					joining = true
					if err := os.WriteFile(ballast, make([]byte, 16<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
						t.Errorf("the disk is not full: %v", err)
					}
				}
			}}, Config{})
			var p *problem.Error
			if !errors.As(err, &p) || p.Kind != problem.Busy || p.Code != "disk-full" || !errors.Is(err, syscall.ENOSPC) {
				t.Errorf("%s on %s: %v", format, size, err)
			}
			if joining != (size == "16m") {
				t.Errorf("%s on %s: the disk was full at another step", format, size)
			}
			if err := os.Remove(ballast); joining && err != nil {
				t.Error(err)
			}
			if left := listing(t, disk); len(left) != 0 {
				t.Errorf("%s on %s: the disk has %v", format, size, left)
			}
		}
	}
}
