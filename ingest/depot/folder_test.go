package depot

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const killEnv = "CHANGDE_DEPOT_TEST_UPLOAD"

// TestMain runs the uploading process of TestKilledUpload when asked to.
func TestMain(m *testing.M) {
	if dir := os.Getenv(killEnv); dir != "" {
		s, err := OpenFolder(dir, Config{})
		if err == nil {
			_, err = s.Append(context.Background(), "1/地类图斑.zip", 0, os.Stdin, 0)
		}
		os.Stderr.WriteString(err.Error())
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// TestKilledUpload: a process that is killed in the middle of an append loses
// nothing that had reached it, and holds no lock.
func TestKilledUpload(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := OpenFolder(dir, Config{})
	must(t, err)
	const name = "1/地类图斑.zip"
	must(t, s.Begin(t.Context(), name))
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), killEnv+"="+dir)
	in, err := cmd.StdinPipe()
	must(t, err)
	must(t, cmd.Start())
	content := sample(3 << 20)
	if _, err := in.Write(content[:2<<20]); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if size, err := s.Size(t.Context(), name); err == nil && size == 2<<20 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the process stores nothing")
		}
	}
	_, err = s.Append(t.Context(), name, 2<<20, strings.NewReader("x"), 0)
	wantCode(t, err, "depot-busy")
	wantCode(t, s.Remove(t.Context(), name), "depot-busy")
	must(t, cmd.Process.Kill())
	cmd.Wait()

	size, err := s.Append(t.Context(), name, 2<<20, bytes.NewReader(content[2<<20:]), 0)
	if err != nil || size != int64(len(content)) {
		t.Fatalf("%d, %v", size, err)
	}
	_, sum, err := s.Seal(t.Context(), name)
	must(t, err)
	if !bytes.Equal(sum, sumOf(content)) {
		t.Error("the sum differs")
	}
}

// TestStateLost: states that are missing, damaged or of more bytes than the disk
// kept only cost another reading of the file.
func TestStateLost(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := OpenFolder(dir, Config{})
	must(t, err)
	const name = "1/a.zip"
	state := filepath.Join(dir, stateDir, "1", "a.zip")
	damages := map[string]func() error{
		"missing":   func() error { return os.Remove(state) },
		"damaged":   func() error { return os.WriteFile(state, []byte("{"), 0o600) },
		"no hash":   func() error { return os.WriteFile(state, []byte(`{"size":3,"hash":"AAAA"}`), 0o600) },
		"negative":  func() error { return os.WriteFile(state, []byte(`{"size":-3}`), 0o600) },
		"truncated": func() error { return os.Truncate(filepath.Join(dir, partialDir, "1", "a.zip"), 40) },
	}
	for what, damage := range damages {
		must(t, s.Begin(t.Context(), name))
		_, err := s.Append(t.Context(), name, 0, bytes.NewReader(sample(100)), 0)
		must(t, err)
		must(t, damage())
		size, err := s.Size(t.Context(), name)
		must(t, err)
		_, err = s.Append(t.Context(), name, size, bytes.NewReader(sample(100)[size:]), 0)
		must(t, err)
		_, sum, err := s.Seal(t.Context(), name)
		must(t, err)
		if !bytes.Equal(sum, sumOf(sample(100))) {
			t.Errorf("%s: the sum differs", what)
		}
		if what != "truncated" {
			must(t, damage())
			if _, again, err := s.Seal(t.Context(), name); err != nil || !bytes.Equal(again, sum) {
				t.Errorf("%s: sealed again: %x, %v", what, again, err)
			}
		}
		must(t, s.Remove(t.Context(), name))
	}
}

// TestSealedFileIsReadOnly: what Fetch returns stands beside the delivery's other
// files and cannot be written by accident.
func TestSealedFileIsReadOnly(t *testing.T) {
	t.Parallel()
	s, err := OpenFolder(t.TempDir(), Config{})
	must(t, err)
	put(t, s, "3/水系.shp", sample(10))
	put(t, s, "3/水系.dbf", sample(10))
	path, err := s.Fetch(t.Context(), "3/水系.shp", "/nowhere")
	must(t, err)
	info, err := os.Stat(path)
	must(t, err)
	if info.Mode().Perm() != 0o400 {
		t.Errorf("mode %s", info.Mode())
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(path), "水系.dbf")); err != nil {
		t.Error(err)
	}
	must(t, os.Chmod(path, 0o600))
	must(t, os.Truncate(path, 5))
	if _, err := s.Fetch(t.Context(), "3/水系.shp", ""); err == nil {
		t.Error("a truncated file was fetched")
	}
}

// TestLinksInTheDepot: a link that someone put into the folder leads nowhere.
func TestLinksInTheDepot(t *testing.T) {
	t.Parallel()
	dir, secret := t.TempDir(), filepath.Join(t.TempDir(), "secret")
	must(t, os.WriteFile(secret, []byte("secret"), 0o600))
	s, err := OpenFolder(dir, Config{})
	must(t, err)
	put(t, s, "1/a", sample(1))
	must(t, os.Symlink(secret, filepath.Join(dir, filesDir, "1", "b")))
	if path, err := s.Fetch(t.Context(), "1/b", ""); err == nil {
		t.Errorf("fetched %s", path)
	}
	must(t, os.Symlink(filepath.Dir(secret), filepath.Join(dir, partialDir, "2")))
	if err := s.Begin(t.Context(), "2/c"); err == nil {
		t.Error("begun through a link")
	}
	must(t, os.Symlink(secret, filepath.Join(dir, partialDir, "1", "d")))
	if _, err := s.Append(t.Context(), "1/d", 6, strings.NewReader("x"), 0); err == nil {
		t.Error("appended through a link")
	}
	if b, _ := os.ReadFile(secret); string(b) != "secret" {
		t.Errorf("it holds %q", b)
	}
}

func TestSweep(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, err := OpenFolder(dir, Config{})
	must(t, err)
	fresh, old := filepath.Join(dir, tmpDir, "fresh"), filepath.Join(dir, tmpDir, "old")
	must(t, os.WriteFile(fresh, nil, 0o600))
	must(t, os.WriteFile(old, nil, 0o600))
	must(t, os.Chtimes(old, time.Time{}, time.Now().Add(-48*time.Hour)))
	_, err = OpenFolder(dir, Config{})
	must(t, err)
	if _, err := os.Stat(old); err == nil {
		t.Error("the old one is left")
	}
	if _, err := os.Stat(fresh); err != nil {
		t.Error("the fresh one is gone")
	}
}

func BenchmarkAppend(b *testing.B) {
	s, err := OpenFolder(b.TempDir(), Config{})
	must(b, err)
	content := sample(64 << 20)
	b.SetBytes(int64(len(content)))
	for b.Loop() {
		must(b, s.Begin(b.Context(), "1/a"))
		_, err := s.Append(b.Context(), "1/a", 0, io.MultiReader(bytes.NewReader(content)), 0)
		must(b, err)
		_, _, err = s.Seal(b.Context(), "1/a")
		must(b, err)
		must(b, s.Remove(b.Context(), "1/a"))
	}
}
