package shelf

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"changde/problem"
)

func TestShelf(t *testing.T) {
	t.Parallel()
	eachShelf(t, func(t *testing.T, open func() Shelf) {
		one, other := open(), open()
		if got := namesOf(t, one); got != "" {
			t.Fatalf("an empty shelf has %q", got)
		}
		if _, err := one.Open(t.Context(), "a@0.pmtiles"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("what is not there: %v", err)
		}
		must(t, one.Remove(t.Context(), "a@0.pmtiles"))
		content := sample(1_000_003)
		before := time.Now().Add(-time.Minute)
		put(t, one, "地类@0.pmtiles", content)
		put(t, one, "a@0.covers", nil)
		entries, err := other.List(t.Context())
		must(t, err)
		if len(entries) != 2 || entries[0].Name != "a@0.covers" || entries[0].Size != 0 || entries[1].Name != "地类@0.pmtiles" || entries[1].Size != int64(len(content)) {
			t.Fatalf("%+v", entries)
		}
		if m := entries[1].Modified; m.Before(before) || m.After(time.Now().Add(time.Minute)) {
			t.Errorf("modified at %s", m)
		}
		f := opened(t, other, "地类@0.pmtiles")
		if f.Size() != int64(len(content)) || f.ID() != entries[1].ID || !f.Modified().Truncate(time.Second).Equal(entries[1].Modified.Truncate(time.Second)) || f.ID() == entries[0].ID {
			t.Errorf("%d bytes, id %q of %+v", f.Size(), f.ID(), entries)
		}
		for _, r := range [][2]int{{0, 10}, {0, len(content)}, {262_140, 8}, {262_144, 262_144}, {999_999, 4}, {5, 0}} {
			b := make([]byte, r[1])
			if n, err := f.ReadAt(b, int64(r[0])); n != r[1] || err != nil && err != io.EOF || !bytes.Equal(b, content[r[0]:r[0]+r[1]]) {
				t.Errorf("%d bytes at %d: %d, %v", r[1], r[0], n, err)
			}
		}
		b := make([]byte, 10)
		if n, err := f.ReadAt(b, int64(len(content)-4)); n != 4 || err != io.EOF {
			t.Errorf("at the end: %d, %v", n, err)
		}
		if n, err := f.ReadAt(b, int64(len(content)+4)); n != 0 || err != io.EOF {
			t.Errorf("behind the end: %d, %v", n, err)
		}
		if _, err := f.ReadAt(b, -1); err == nil {
			t.Error("read before the beginning")
		}
		if e := opened(t, other, "a@0.covers"); e.Size() != 0 {
			t.Errorf("an empty file has %d bytes", e.Size())
		}
		must(t, one.Remove(t.Context(), "a@0.covers"))
		if got := namesOf(t, other); got != "地类@0.pmtiles" {
			t.Errorf("left are %q", got)
		}
	})
}

// Who has opened a file that is replaced or removed reads it as it was, or is told so.
func TestReplacedAndRemoved(t *testing.T) {
	t.Parallel()
	eachShelf(t, func(t *testing.T, open func() Shelf) {
		for _, next := range []struct {
			does string
			do   func(s Shelf)
		}{
			{"replaced", func(s Shelf) { put(t, s, "a@0.pmtiles", sample(600_001)) }},
			{"removed", func(s Shelf) { must(t, s.Remove(t.Context(), "a@0.pmtiles")) }},
		} {
			old := sample(600_000)
			put(t, open(), "a@0.pmtiles", old)
			s := open()
			f := opened(t, s, "a@0.pmtiles")
			if _, err := f.ReadAt(make([]byte, 10), 0); err != nil {
				t.Fatal(err)
			}
			next.do(open())
			got, err := whole(f)
			_, keeps := s.(*Folder)
			if keeps && (err != nil || !bytes.Equal(got, old)) || !keeps && !errors.Is(err, ErrChanged) {
				t.Errorf("%s: %d bytes, %v", next.does, len(got), err)
			}
			entries, err := s.List(t.Context())
			must(t, err)
			if next.does == "removed" {
				if len(entries) != 0 {
					t.Errorf("removed: %+v", entries)
				}
				continue
			}
			if len(entries) != 1 || entries[0].ID == f.ID() {
				t.Errorf("replaced: %+v has the id of the old one", entries)
			}
			if got, err := whole(opened(t, s, "a@0.pmtiles")); err != nil || !bytes.Equal(got, sample(600_001)) {
				t.Errorf("opened anew: %d bytes, %v", len(got), err)
			}
		}
	})
}

// Of many that put one name at once each reader sees one, whole.
func TestWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	eachShelf(t, func(t *testing.T, open func() Shelf) {
		contents := map[int][]byte{}
		for i := range 3 {
			contents[400_000+i] = sample(400_000 + i)
		}
		var writers sync.WaitGroup
		ctx, stop := context.WithCancel(t.Context())
		for _, content := range contents {
			writers.Go(func() {
				s := open()
				for i := range 5 {
					dir, done, err := s.Scratch()
					if err == nil {
						path := filepath.Join(dir, fmt.Sprintf("a@0.pmtiles.%d-%d.tmp", len(content), i))
						if err = os.WriteFile(path, content, 0o600); err == nil {
							err = errors.Join(s.Put(ctx, "a@0.pmtiles", path), done())
						}
					}
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		go func() { writers.Wait(); stop() }()
		s, read := open(), 0
		for ctx.Err() == nil || read == 0 {
			f, err := s.Open(t.Context(), "a@0.pmtiles")
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			must(t, err)
			got, err := whole(f)
			must(t, f.Close())
			if errors.Is(err, ErrChanged) {
				continue
			}
			must(t, err)
			if want := contents[len(got)]; !bytes.Equal(got, want) {
				t.Fatalf("%d bytes, of %d it differs", len(got), len(want))
			}
			read++
		}
		if entries := namesOf(t, s); entries != "a@0.pmtiles" {
			t.Errorf("left are %q", entries)
		}
	})
}

func TestNames(t *testing.T) {
	t.Parallel()
	eachShelf(t, func(t *testing.T, open func() Shelf) {
		s := open()
		for _, name := range []string{"", ".", "..", "a/b", `a\b`, "a\x00", "\xff", strings.Repeat("a", 256)} {
			_, err := s.Open(t.Context(), name)
			path := filepath.Join(t.TempDir(), "x")
			must(t, os.WriteFile(path, nil, 0o600))
			for _, err := range []error{err, s.Put(t.Context(), name, path), s.Remove(t.Context(), name)} {
				if err == nil || !strings.Contains(err.Error(), "not the name of a file") {
					t.Errorf("%q: %v", name, err)
				}
			}
		}
	})
}

func TestPutOfNothing(t *testing.T) {
	t.Parallel()
	eachShelf(t, func(t *testing.T, open func() Shelf) {
		s := open()
		put(t, s, "a", []byte("before"))
		if err := s.Put(t.Context(), "a", filepath.Join(t.TempDir(), "gone")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a file that is not there is put: %v", err)
		}
		if got, err := whole(opened(t, s, "a")); string(got) != "before" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	})
}

func TestSweepOfTheFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openAt(t, dir, Config{})
	for name, age := range map[string]time.Duration{"a@2.pmtiles.A.tmp": 2 * time.Hour, "a@2.pmtiles.B.tmp": time.Minute, "a@2.pmtiles": 2 * time.Hour, "notes.tmp": 2 * time.Hour} {
		path := filepath.Join(dir, name)
		must(t, os.WriteFile(path, nil, 0o600))
		must(t, os.Chtimes(path, time.Time{}, time.Now().Add(-age)))
	}
	must(t, os.Mkdir(filepath.Join(dir, "sub"), 0o700))
	must(t, s.Sweep(t.Context(), ".covers", ".pmtiles"))
	if got := namesOf(t, s); got != "a@2.pmtiles a@2.pmtiles.B.tmp notes.tmp" {
		t.Errorf("left are %q", got)
	}
	must(t, os.RemoveAll(dir))
	if got := namesOf(t, s); got != "" {
		t.Errorf("a folder that is gone has %q", got)
	}
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"", "ftp://a", "s3://B"} {
		var p *problem.Error
		if _, err := Open(address, Config{}); !errors.As(err, &p) || p.Code != "s3-url" {
			t.Errorf("%s: %v", address, err)
		}
	}
	if s, err := Open("file://"+t.TempDir()+"/a", Config{}); err != nil {
		t.Error(err)
	} else if _, ok := s.(*Folder); !ok {
		t.Errorf("%T", s)
	}
}
