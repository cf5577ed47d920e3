package depot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"changde/problem"
)

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, open opener) {
		s := open(t, Config{PartSize: 1000})
		for _, name := range []string{"17/地类图斑 2024（终）.shp", "17/地类图斑 2024（终）.dbf", "17/ a b+c%20&?#.zip", "18/-rf", "19/𠮷.gpkg", "20/.hidden", "20/" + strings.Repeat("常", 85)} {
			for _, n := range []int{0, 1, 999, 1000, 1001, 5000} {
				put(t, s, name, sample(n))
				other := open(t, Config{})
				if got := fetched(t, other, name); !bytes.Equal(got, sample(n)) {
					t.Fatalf("%s: %d bytes came back as %d others", name, n, len(got))
				}
				size, err := other.Size(t.Context(), name)
				if err != nil || size != int64(n) {
					t.Errorf("size %d, %v", size, err)
				}
				size, sum, err := other.Seal(t.Context(), name)
				if err != nil || size != int64(n) || !bytes.Equal(sum, sumOf(sample(n))) {
					t.Errorf("sealed again: %d %x %v", size, sum, err)
				}
				must(t, other.Remove(t.Context(), name))
				must(t, other.Remove(t.Context(), name))
			}
		}
		if left, err := s.List(t.Context(), ""); err != nil || len(left) > 0 {
			t.Errorf("left: %v, %v", left, err)
		}
	})
}

// TestModel compares the stores with a slice of bytes, under appends of any size
// by any machine, cut connections and repeated requests.
func TestModel(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, open opener) {
		n := 0
		rapid.Check(t, func(rt *rapid.T) {
			n++
			name := fmt.Sprintf("%d/宗地.zip", n)
			part := rapid.Int64Range(10, 300).Draw(rt, "part")
			var model []byte
			machines := []Store{open(t, Config{PartSize: part, MaxFile: 1500}), open(t, Config{PartSize: part + 7, MaxFile: 1500})}
			must(t, machines[0].Begin(t.Context(), name))
			for range rapid.IntRange(0, 8).Draw(rt, "appends") {
				s := rapid.SampledFrom(machines).Draw(rt, "machine")
				chunk := rapid.SliceOfN(rapid.Byte(), 0, 700).Draw(rt, "chunk")
				offset := int64(len(model))
				if rapid.IntRange(0, 4).Draw(rt, "mistake") == 0 {
					offset += rapid.Int64Range(-5, 5).Draw(rt, "by")
				}
				most := rapid.Int64Range(0, 400).Draw(rt, "max")
				var r io.Reader = bytes.NewReader(chunk)
				cut := rapid.Bool().Draw(rt, "cut")
				if cut {
					r = brokenReader{r}
				}
				size, err := s.Append(t.Context(), name, offset, r, most)
				if offset != int64(len(model)) {
					wantCode(t, err, "depot-offset")
				} else {
					take := min(len(chunk), 1500-len(model))
					if most > 0 {
						take = min(take, int(most))
					}
					model = append(model, chunk[:take]...)
					switch {
					case take < len(chunk):
						wantCode(t, err, "depot-size")
					case cut:
						if !errors.Is(err, errCut) {
							rt.Fatalf("cut: %v", err)
						}
					case err != nil:
						rt.Fatal(err)
					}
				}
				if size != int64(len(model)) {
					rt.Fatalf("size %d, want %d", size, len(model))
				}
				if size, err := machines[0].Size(t.Context(), name); err != nil || size != int64(len(model)) {
					rt.Fatalf("Size is %d, %v, want %d", size, err, len(model))
				}
			}
			size, sum, err := machines[1].Seal(t.Context(), name)
			if err != nil || size != int64(len(model)) || !bytes.Equal(sum, sumOf(model)) {
				rt.Fatalf("seal: %d %x %v", size, sum, err)
			}
			if got := fetched(t, machines[0], name); !bytes.Equal(got, model) {
				rt.Fatalf("%d bytes came back as %d others", len(model), len(got))
			}
			must(t, machines[0].Remove(t.Context(), name))
		})
	})
}

func TestStates(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, open opener) {
		ctx, s := t.Context(), open(t, Config{})
		const name = "5/DLTB.shp"
		_, err := s.Append(ctx, name, 0, strings.NewReader("x"), 0)
		wantCode(t, err, "depot-unknown")
		_, err = s.Size(ctx, name)
		wantCode(t, err, "depot-unknown")
		_, _, err = s.Seal(ctx, name)
		wantCode(t, err, "depot-unknown")
		_, err = s.Fetch(ctx, name, t.TempDir())
		wantCode(t, err, "depot-unknown")

		must(t, s.Begin(ctx, name))
		_, err = s.Append(ctx, name, 0, strings.NewReader("12345"), 0)
		must(t, err)
		must(t, s.Begin(ctx, name)) // stays as it is
		if size, err := s.Size(ctx, name); size != 5 || err != nil {
			t.Errorf("size %d, %v", size, err)
		}
		_, err = s.Fetch(ctx, name, t.TempDir())
		wantCode(t, err, "depot-unsealed")

		_, _, err = s.Seal(ctx, name)
		must(t, err)
		wantCode(t, s.Begin(ctx, name), "depot-sealed")
		_, err = s.Append(ctx, name, 5, strings.NewReader("6"), 0)
		wantCode(t, err, "depot-sealed")
		if got := fetched(t, s, name); string(got) != "12345" {
			t.Errorf("got %q", got)
		}
	})
}

func TestCancelledAppendKeepsWhatArrived(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, open opener) {
		s := open(t, Config{PartSize: 100})
		const name = "5/图斑.gpkg"
		must(t, s.Begin(t.Context(), name))
		ctx, cancel := context.WithCancel(t.Context())
		r := io.MultiReader(bytes.NewReader(sample(250)), readerFunc(func([]byte) (int, error) {
			cancel()
			return 0, nil
		}))
		size, err := s.Append(ctx, name, 0, r, 0)
		if size != 250 || !errors.Is(err, context.Canceled) {
			t.Fatalf("got %d, %v", size, err)
		}
		if size, err := open(t, Config{}).Size(t.Context(), name); size != 250 || err != nil {
			t.Errorf("size %d, %v", size, err)
		}
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// TestTwoAppends: of two that write at once one is turned away, and no byte of
// the two is mixed.
func TestTwoAppends(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, open opener) {
		const name = "5/图斑.gpkg"
		s := open(t, Config{PartSize: 100})
		must(t, s.Begin(t.Context(), name))
		_, err := s.Append(t.Context(), name, 0, bytes.NewReader(sample(120)), 0)
		must(t, err)
		slow := &slowReader{data: make(chan []byte)}
		type result struct {
			size int64
			err  error
		}
		first := make(chan result)
		go func() {
			size, err := s.Append(t.Context(), name, 120, slow, 0)
			first <- result{size, err}
		}()
		slow.data <- sample(50)
		slow.data <- sample(1) // the 50 are read by then
		size, err := open(t, Config{PartSize: 100}).Append(t.Context(), name, 120, bytes.NewReader(sample(330)), 0)
		slow.data <- sample(400)
		close(slow.data)
		one := <-first
		if (err == nil) == (one.err == nil) {
			t.Fatalf("first %d, %v; second %d, %v", one.size, one.err, size, err)
		}
		want := append(sample(120), sample(330)...)
		if err != nil {
			wantCode(t, err, "depot-busy")
			want = slices.Concat(sample(120), sample(50), sample(1), sample(400))
			size = one.size
		} else {
			wantCode(t, one.err, "depot-busy")
		}
		if size != int64(len(want)) {
			t.Errorf("size %d, want %d", size, len(want))
		}
		_, sum, err := s.Seal(t.Context(), name)
		must(t, err)
		if got := fetched(t, s, name); !bytes.Equal(got, want) || !bytes.Equal(sum, sumOf(want)) {
			t.Errorf("%d bytes, want %d", len(got), len(want))
		}
	})
}

func TestBounds(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, open opener) {
		ctx, s := t.Context(), open(t, Config{MaxFile: 10, MaxFiles: 3})
		must(t, s.Begin(ctx, "1/a"))
		size, err := s.Append(ctx, "1/a", 0, strings.NewReader("0123456789A"), 0)
		wantCode(t, err, "depot-size")
		if size != 10 || !problem.Is(err, problem.TooLarge) {
			t.Errorf("size %d, %v", size, err)
		}
		size, err = s.Append(ctx, "1/a", 10, strings.NewReader(""), 0)
		if size != 10 || err != nil {
			t.Errorf("nothing more: %d, %v", size, err)
		}
		must(t, s.Begin(ctx, "1/b"))
		must(t, s.Begin(ctx, "1/c"))
		wantCode(t, s.Begin(ctx, "1/d"), "depot-files")
		must(t, s.Begin(ctx, "1/c"))
		must(t, s.Begin(ctx, "2/d"))
		must(t, s.Remove(ctx, "1/b"))
		must(t, s.Begin(ctx, "1/d"))
	})
}

func TestList(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, open opener) {
		ctx, s := t.Context(), open(t, Config{PartSize: 10})
		start := time.Now()
		put(t, s, "1/甲.shp", sample(25))
		put(t, s, "1/甲.dbf", sample(5))
		put(t, s, "11/乙.zip", sample(3))
		must(t, s.Begin(ctx, "2/丙.zip"))
		_, err := s.Append(ctx, "2/丙.zip", 0, bytes.NewReader(sample(17)), 0)
		must(t, err)
		all := []Entry{{Name: "1/甲.dbf", Size: 5, Sealed: true}, {Name: "1/甲.shp", Size: 25, Sealed: true}, {Name: "11/乙.zip", Size: 3, Sealed: true}, {Name: "2/丙.zip", Size: 17}}
		for prefix, want := range map[string][]Entry{"": all, "1": all[:3], "1/": all[:2], "1/甲.s": all[1:2], "2/": all[3:], "3": {}, "1/甲.shp2": {}} {
			got, err := s.List(ctx, prefix)
			must(t, err)
			if d := cmp.Diff(want, got, cmpopts.IgnoreFields(Entry{}, "Modified")); d != "" {
				t.Errorf("%q: (-want +got)\n%s", prefix, d)
			}
			for _, e := range got {
				if e.Modified.Before(start.Add(-2*time.Second)) || e.Modified.After(time.Now().Add(2*time.Second)) {
					t.Errorf("%s was modified %s", e.Name, e.Modified)
				}
			}
		}
		for _, prefix := range []string{"../", "/", "1/../", "1/a/b", "1\x00"} {
			_, err := s.List(ctx, prefix)
			wantCode(t, err, "depot-name")
		}
	})
}

func TestNamesNeverEscape(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, open opener) {
		ctx, s := t.Context(), open(t, Config{})
		for _, name := range []string{
			"", "1", "1/", "/a", "1/.", "1/..", "../a", "./a", "1//a", "1/a/b", "1/../a", `1/..\a`, `1\a`, "1/a\x00b", "1/a\nb", "1/\xb3\xa3",
			"1/gepj\u202egpkg", "一/a", "1/" + strings.Repeat("常", 86), strings.Repeat("1", 65) + "/a", "1 /a",
		} {
			wantCode(t, s.Begin(ctx, name), "depot-name")
			_, err := s.Append(ctx, name, 0, strings.NewReader(""), 0)
			wantCode(t, err, "depot-name")
			_, err = s.Size(ctx, name)
			wantCode(t, err, "depot-name")
			_, _, err = s.Seal(ctx, name)
			wantCode(t, err, "depot-name")
			_, err = s.Fetch(ctx, name, t.TempDir())
			wantCode(t, err, "depot-name")
			wantCode(t, s.Remove(ctx, name), "depot-name")
		}
	})
}

func FuzzSplitName(f *testing.F) {
	for _, s := range []string{"1/地类图斑.shp", "1/../../etc/passwd", "/1/a", `1/a\b`, "1/ ", "1/\u2067"} {
		f.Add(s)
	}
	base := f.TempDir()
	f.Fuzz(func(t *testing.T, name string) {
		id, file, err := splitName(name)
		if err != nil {
			wantCode(t, err, "depot-name")
			return
		}
		path := filepath.Join(base, id, file)
		if id+"/"+file != name || filepath.Dir(filepath.Dir(path)) != base || filepath.Base(path) != file || !filepath.IsLocal(name) {
			t.Fatalf("%q means %q", name, path)
		}
		if err := checkPrefix(name); err != nil {
			t.Errorf("%q is a name and no prefix: %v", name, err)
		}
	})
}

func TestDepotFull(t *testing.T) {
	t.Parallel()
	s, err := Open("file://"+t.TempDir(), Config{MinFree: 1 << 60})
	must(t, err)
	err = s.Begin(t.Context(), "1/a")
	wantCode(t, err, "depot-full")
	if !problem.Is(err, problem.Busy) {
		t.Errorf("%v", err)
	}
	url := fakeS3(t, nil)
	put(t, small(t, url, Config{}), "1/a", sample(10))
	dir := t.TempDir()
	_, err = small(t, url, Config{MinFree: 1 << 60}).Fetch(t.Context(), "1/a", dir)
	wantCode(t, err, "depot-full")
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}
