package postgistest

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// staleAge is how old the folder of a dead test binary is when removed; a
// younger one may be about to take its lock.
const staleAge = time.Minute

// removeStale removes the folders of test binaries that were killed: those whose
// lock can be had.
func removeStale() {
	folders, _ := filepath.Glob(filepath.Join(os.TempDir(), folderPrefix+"*")) // the pattern is well-formed
	for _, folder := range folders {
		info, err := os.Lstat(folder)
		if err != nil || !info.IsDir() || time.Since(info.ModTime()) < staleAge {
			continue
		}
		f, err := os.Open(filepath.Join(folder, "lock"))
		if err == nil {
			err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
			f.Close()
		} else if errors.Is(err, os.ErrNotExist) {
			err = nil
		}
		if err == nil {
			_ = os.RemoveAll(folder) // the next run tries again
		}
	}
}
