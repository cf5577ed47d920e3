package scratch

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// A sweep takes the folders of the dead and leaves those of the living, also where
// the dead had the number of this process, as in a container that was started again.
func TestSweepLeavesTheLiving(t *testing.T) {
	t.Parallel()
	const prefix = "changde-delivery-"
	dir := t.TempDir()
	dead := filepath.Join(dir, fmt.Sprintf("%s%d-1", prefix, os.Getpid()))
	other := filepath.Join(dir, "changde-other")
	for _, path := range []string{filepath.Join(dead, "0"), other} {
		if err := os.MkdirAll(path, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	var work sync.WaitGroup
	for range 8 {
		work.Go(func() {
			for range 20 {
				path, remove, err := New(dir, prefix)
				if err == nil {
					err = Sweep(dir, prefix)
				}
				if err == nil {
					err = os.WriteFile(filepath.Join(path, "x"), nil, 0o600)
				}
				if err == nil {
					err = remove()
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	work.Wait()
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 || left[0].Name() != "changde-other" {
		t.Errorf("left are %v, %v", left, err)
	}
}
