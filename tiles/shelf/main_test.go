package shelf

import (
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"changde/s3/s3test"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func sample(n int) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(uint64(n), 430700))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// eachShelf runs a test on a folder and on S3; open opens the same shelf once more, as
// another machine does.
func eachShelf(t *testing.T, test func(t *testing.T, open func() Shelf)) {
	for kind, address := range map[string]func(t testing.TB) string{
		"folder": func(t testing.TB) string { return filepath.Join(t.TempDir(), "瓦片", "档案") },
		"s3":     func(t testing.TB) string { return s3test.Address(t, nil) },
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			at := address(t)
			test(t, func() Shelf { return openAt(t, at, Config{}) })
		})
	}
}

func openAt(t testing.TB, address string, c Config) Shelf {
	t.Helper()
	c.Credentials = s3test.Keys()
	if c.TempDir == "" {
		c.TempDir = t.TempDir()
	}
	s, err := Open(address, c)
	must(t, err)
	return s
}

// put makes a file and puts it.
func put(t testing.TB, s Shelf, name string, content []byte) {
	t.Helper()
	dir, done, err := s.Scratch()
	must(t, err)
	path := filepath.Join(dir, name+".x.tmp")
	must(t, os.WriteFile(path, content, 0o600))
	must(t, s.Put(t.Context(), name, path))
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("what was put is still in the folder: %v", err)
	}
	must(t, done())
}

func opened(t testing.TB, s Shelf, name string) File {
	t.Helper()
	f, err := s.Open(t.Context(), name)
	must(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

func whole(f File) ([]byte, error) {
	return io.ReadAll(io.NewSectionReader(f, 0, f.Size()))
}

func namesOf(t testing.TB, s Shelf) string {
	t.Helper()
	entries, err := s.List(t.Context())
	must(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name)
	}
	return strings.Join(names, " ")
}

// requests are the ranges that were asked for, and what spoils the answers.
type requests struct {
	mu     sync.Mutex
	ranges []string
	all    int
	blind  int // ranges that were asked for without an ETag
	spoil  func(w http.ResponseWriter, r *http.Request) bool
}

func (q *requests) hook(w http.ResponseWriter, r *http.Request) bool {
	q.mu.Lock()
	q.all++
	if spec := r.Header.Get("Range"); spec != "" {
		q.ranges = append(q.ranges, spec)
		if !strings.HasPrefix(r.Header.Get("If-Match"), `"`) {
			q.blind++
		}
	}
	spoil := q.spoil
	q.mu.Unlock()
	return spoil != nil && spoil(w, r)
}

func (q *requests) spoilWith(spoil func(w http.ResponseWriter, r *http.Request) bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.spoil = spoil
}

// taken gives the ranges since the last call, and the number of all requests.
func (q *requests) taken() ([]string, int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	ranges, all := slices.Clone(q.ranges), q.all
	q.ranges, q.all = nil, 0
	return ranges, all
}
