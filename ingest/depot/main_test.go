package depot

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"changde/problem"
	"changde/s3"
	"changde/s3/s3test"
)

var testKeys = s3.Credentials{AccessKey: "AKIATESTKEY", SecretKey: "s3cr3t-of-the-test", SessionToken: "t0ken-of-the-test"}

// fakeS3 starts an S3 server of the test's own and returns the URL of a depot in it;
// hook is as s3test.Memory has it.
func fakeS3(t testing.TB, hook func(http.ResponseWriter, *http.Request) bool) string {
	t.Helper()
	return "s3://" + s3test.Name + "/常德 depot?region=cn-north-1&endpoint=" + s3test.Memory(t, hook)
}

// opener opens one and the same store once more, as another machine would.
type opener func(t testing.TB, config Config) Store

// small opens an S3 store whose parts are far smaller than S3 allows, which the
// fake server does not mind, so that tests need few bytes.
func small(t testing.TB, url string, config Config) Store {
	t.Helper()
	part := config.PartSize
	config.Credentials = testKeys
	s, err := openS3(url, config)
	if err != nil {
		t.Fatal(err)
	}
	if part > 0 {
		s.config.PartSize = part
	}
	return s
}

// eachStore runs a test on a Folder and on S3.
func eachStore(t *testing.T, test func(t *testing.T, open opener)) {
	t.Run("folder", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		test(t, func(t testing.TB, config Config) Store {
			s, err := Open(dir, config)
			if err != nil {
				t.Fatal(err)
			}
			return s
		})
	})
	t.Run("s3", func(t *testing.T) {
		t.Parallel()
		url := fakeS3(t, nil)
		test(t, func(t testing.TB, config Config) Store { return small(t, url, config) })
	})
}

func sample(n int) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(uint64(n), 430700))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func sumOf(b []byte) []byte {
	s := sha256.Sum256(b)
	return s[:]
}

// wantCode checks that err is the problem of that code.
func wantCode(t testing.TB, err error, code string) {
	t.Helper()
	var p *problem.Error
	if !errors.As(err, &p) || p.Code != code {
		t.Fatalf("got %v, want the problem %s", err, code)
	}
	if p.ZH == "" || p.EN == "" {
		t.Errorf("%s lacks a text", code)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// put stores a whole file.
func put(t testing.TB, s Store, name string, content []byte) {
	t.Helper()
	ctx := t.Context()
	must(t, s.Begin(ctx, name))
	size, err := s.Append(ctx, name, 0, bytes.NewReader(content), 0)
	must(t, err)
	if size != int64(len(content)) {
		t.Fatalf("%d bytes stored of %d", size, len(content))
	}
	size, sum, err := s.Seal(ctx, name)
	must(t, err)
	if size != int64(len(content)) || !bytes.Equal(sum, sumOf(content)) {
		t.Fatalf("sealed %d bytes, sum %x", size, sum)
	}
}

// fetched reads a sealed file back.
func fetched(t testing.TB, s Store, name string) []byte {
	t.Helper()
	path, err := s.Fetch(t.Context(), name, t.TempDir())
	must(t, err)
	b, err := os.ReadFile(path)
	must(t, err)
	_, file, _ := strings.Cut(name, "/")
	if !strings.HasSuffix(path, "/"+file) {
		t.Errorf("%s was fetched as %s", name, path)
	}
	return b
}

// brokenReader gives its bytes and then fails.
type brokenReader struct{ r io.Reader }

var errCut = errors.New("connection reset by peer")

func (b brokenReader) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if err == io.EOF {
		err = errCut
	}
	return n, err
}

// slowReader gives what is sent to it, until it is closed.
type slowReader struct {
	mu   sync.Mutex
	data chan []byte
	rest []byte
}

func (s *slowReader) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.rest) == 0 {
		b, ok := <-s.data
		if !ok {
			return 0, io.EOF
		}
		s.rest = b
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
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
	return nil, context.Canceled // which the client does not repeat
}
