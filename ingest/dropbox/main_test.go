package dropbox

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"changde/problem"
	"changde/s3"
	"changde/s3/s3test"
)

// place is a box as its senders see it.
type place interface {
	put(t testing.TB, path, content string)
	// files maps the paths of all files, those of .taken left out, to their content.
	files(t testing.TB) map[string]string
	// open opens the box once more, as a watcher on another machine does.
	open(t testing.TB, config Config) Box
	// claims counts what is in .taken.
	claims(t testing.TB) int
}

type folderPlace struct{ dir string }

func (f folderPlace) put(t testing.TB, path, content string) {
	t.Helper()
	path = filepath.Join(f.dir, path)
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, os.WriteFile(path, []byte(content), 0o644))
}

func (f folderPlace) walk(t testing.TB, visit func(path string)) {
	t.Helper()
	must(t, filepath.WalkDir(f.dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) { // moved at this moment
			return nil
		}
		if err == nil && d.Type().IsRegular() {
			rel, _ := filepath.Rel(f.dir, path)
			visit(rel)
		}
		return err
	}))
}

func (f folderPlace) files(t testing.TB) map[string]string {
	t.Helper()
	out := make(map[string]string)
	f.walk(t, func(path string) {
		if !strings.HasPrefix(path, takenName) {
			b, err := os.ReadFile(filepath.Join(f.dir, path))
			if errors.Is(err, fs.ErrNotExist) {
				return
			}
			must(t, err)
			out[path] = string(b)
		}
	})
	return out
}

func (f folderPlace) open(t testing.TB, config Config) Box {
	t.Helper()
	b, err := OpenFolder(f.dir, config)
	must(t, err)
	t.Cleanup(func() { b.Close() })
	return b
}

func (f folderPlace) claims(t testing.TB) int {
	entries, err := os.ReadDir(filepath.Join(f.dir, takenName))
	must(t, err)
	return len(entries)
}

type s3Place struct {
	url    string
	prefix string
}

func newS3Place(t testing.TB, hook func(*http.Request)) s3Place {
	t.Helper()
	if real := os.Getenv(s3test.Real); real != "" && hook == nil {
		at := s3Place{url: real, prefix: "收件箱-" + rand.Text() + "/"}
		s3test.MakeBucket(t, at.bucket(t, nil))
		return at
	}
	endpoint := s3test.Memory(t, func(_ http.ResponseWriter, r *http.Request) bool {
		if hook != nil {
			hook(r)
		}
		return false
	})
	return s3Place{url: strings.TrimPrefix(endpoint, "http://"), prefix: "收件箱/"}
}

func (s s3Place) client(t testing.TB, transport http.RoundTripper) *minio.Client {
	t.Helper()
	c, err := minio.New(s.url, &minio.Options{Creds: credentials.NewStaticV4("key", "secret-of-the-test", ""), Region: "cn-north-1", Transport: transport, MaxRetries: 1})
	must(t, err)
	return c
}

func (s s3Place) bucket(t testing.TB, transport http.RoundTripper) s3.Bucket {
	return s3.Bucket{Client: s.client(t, transport), Name: s3test.Name, Prefix: s.prefix}
}

func (s s3Place) put(t testing.TB, path, content string) {
	t.Helper()
	_, err := s.bucket(t, nil).Put(t.Context(), s.prefix+path, []byte(content), minio.PutObjectOptions{})
	must(t, err)
}

func (s s3Place) keys(t testing.TB) []string {
	t.Helper()
	var out []string
	for info := range s.client(t, nil).ListObjectsIter(t.Context(), "shoujian", minio.ListObjectsOptions{Prefix: s.prefix, Recursive: true}) {
		must(t, info.Err)
		out = append(out, strings.TrimPrefix(info.Key, s.prefix))
	}
	return out
}

func (s s3Place) files(t testing.TB) map[string]string {
	t.Helper()
	out := make(map[string]string)
	box := NewS3(s.bucket(t, nil), Config{})
	for _, key := range s.keys(t) {
		if strings.HasPrefix(key, takenName) {
			continue
		}
		b, _, err := box.get(t.Context(), s.prefix+key, 1<<20)
		if s3.IsMissing(err) { // moved at this moment
			continue
		}
		must(t, err)
		out[key] = string(b)
	}
	return out
}

func (s s3Place) open(t testing.TB, config Config) Box {
	return NewS3(s.bucket(t, nil), config)
}

func (s s3Place) claims(t testing.TB) int {
	n := 0
	for _, key := range s.keys(t) {
		if strings.HasPrefix(key, takenName) && !strings.Contains(key, ".probe-") {
			n++
		}
	}
	return n
}

// eachPlace runs a test on a folder and on S3.
func eachPlace(t *testing.T, test func(t *testing.T, at place)) {
	t.Run("folder", func(t *testing.T) {
		t.Parallel()
		test(t, folderPlace{t.TempDir()})
	})
	t.Run("s3", func(t *testing.T) {
		t.Parallel()
		test(t, newS3Place(t, nil))
	})
}

// quick is a Config with times for tests.
func quick(t testing.TB) Config {
	return Config{Poll: 10 * time.Millisecond, Settle: 30 * time.Millisecond, Patience: time.Minute, Lease: time.Second, TempDir: t.TempDir()}
}

// receiver stands for the platform: it makes one delivery for each Parcel.ID.
type receiver struct {
	mu       sync.Mutex
	received []received
	ids      map[string]int64
	answer   func(p Parcel) error // may be nil
}

type received struct {
	Sender, Name, Dataset string
	Files                 map[string]string
}

func (r *receiver) receive(_ context.Context, p Parcel) (int64, error) {
	got := received{Sender: p.Sender, Name: p.Name, Files: make(map[string]string)}
	if p.Rule != nil {
		got.Dataset = p.Rule.Dataset
	}
	for i, path := range p.Paths {
		b, err := os.ReadFile(path)
		if err != nil {
			return 0, err
		}
		if !strings.HasSuffix(path, "/"+p.Files[i].Name) || int64(len(b)) != p.Files[i].Size || len(p.Files[i].SHA256) != 32 {
			return 0, fmt.Errorf("%s is not %+v", path, p.Files[i])
		}
		got.Files[p.Files[i].Name] = string(b)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.answer != nil {
		if err := r.answer(p); err != nil {
			return 0, err
		}
	}
	if r.ids == nil {
		r.ids = make(map[string]int64)
	}
	r.received = append(r.received, got)
	if r.ids[p.ID] == 0 {
		r.ids[p.ID] = int64(100 + len(r.ids))
	}
	return r.ids[p.ID], nil
}

func (r *receiver) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.received)
}

func (r *receiver) all() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := slices.Clone(r.received)
	slices.SortFunc(out, func(a, b received) int { return strings.Compare(a.Sender+a.Name, b.Sender+b.Name) })
	return out
}

// watching runs a watcher until the returned function is called.
func watching(t testing.TB, box Box, rules []Rule, receive func(context.Context, Parcel) (int64, error), config Config) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Watch(ctx, box, rules, receive, config) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				t.Errorf("Watch: %v", err)
			}
		})
	}
	t.Cleanup(stop)
	return stop
}

// eventually waits for something that is to happen.
func eventually(t testing.TB, what string, happened func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !happened(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it does not happen that %s", what)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantCode(t testing.TB, err error, code string) {
	t.Helper()
	var p *problem.Error
	if !errors.As(err, &p) || p.Code != code {
		t.Fatalf("got %v, want the problem %s", err, code)
	}
}

// stamped takes the times and ids out of the folders in done/ and refused/, so
// that results can be compared.
func stamped(files map[string]string) map[string]string {
	out := make(map[string]string)
	for path, content := range files {
		parts := strings.Split(path, "/")
		if len(parts) > 2 && (parts[1] == doneName || parts[1] == refusedName) && len(parts[2]) > 23 {
			parts[2] = parts[2][16 : len(parts[2])-7]
		}
		out[strings.Join(parts, "/")] = content
	}
	return out
}

func names(files map[string]string) []string {
	out := make([]string, 0, len(files))
	for path := range files {
		out = append(out, path)
	}
	slices.Sort(out)
	return out
}

// mortal is a transport that dies after some requests, as a machine does.
type mortal struct {
	mu      sync.Mutex
	left    int
	carried bool // the last request reaches the server, only its answer is lost
}

func (m *mortal) RoundTrip(r *http.Request) (*http.Response, error) {
	m.mu.Lock()
	m.left--
	left := m.left
	m.mu.Unlock()
	switch {
	case left > 0:
		return http.DefaultTransport.RoundTrip(r)
	case left == 0 && m.carried:
		if resp, err := http.DefaultTransport.RoundTrip(r); err == nil {
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
	}
	return nil, errors.New("the machine is dead")
}

func text(b []byte) string { return string(bytes.TrimPrefix(b, []byte(byteOrderMark))) }
