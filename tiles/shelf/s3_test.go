package shelf

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"changde/s3/s3test"
)

func TestBlocksAreReadOnce(t *testing.T) {
	t.Parallel()
	q := new(requests)
	address := s3test.Address(t, q.hook)
	content := sample(10 << 20)
	put(t, openAt(t, address, Config{}), "a", content)
	f := opened(t, openAt(t, address, Config{}), "a")
	q.taken()
	// Many that read across two blocks share one request.
	slow := make(chan struct{})
	q.spoilWith(func(http.ResponseWriter, *http.Request) bool { <-slow; return false })
	var readers sync.WaitGroup
	for i := range 20 {
		readers.Go(func() {
			b := make([]byte, 1000)
			if _, err := f.ReadAt(b, int64(blockSize-500-i)); err != nil || !bytes.Equal(b, content[blockSize-500-i:][:1000]) {
				t.Error(err)
			}
		})
	}
	time.Sleep(50 * time.Millisecond)
	close(slow)
	readers.Wait()
	if ranges, _ := q.taken(); len(ranges) != 1 || ranges[0] != "bytes=0-524287" {
		t.Errorf("asked for %v", ranges)
	}
	// What is there is not asked for again; what is missing beside it in one request each.
	if got, err := whole(f); err != nil || !bytes.Equal(got, content) {
		t.Error(err)
	}
	if _, err := f.ReadAt(make([]byte, 10<<20), 0); err != nil {
		t.Error(err)
	}
	sum := 0
	ranges, _ := q.taken()
	for _, r := range ranges {
		var from, to int
		fmt.Sscanf(r, "bytes=%d-%d", &from, &to)
		if sum += to - from + 1; to-from >= runBlocks*blockSize {
			t.Errorf("one request for %s", r)
		}
	}
	if sum != 10<<20-2*blockSize {
		t.Errorf("asked for %d bytes", sum)
	}
	// An object that is opened once more is the same.
	if _, err := whole(opened(t, f.(*s3File).s, "a")); err != nil {
		t.Error(err)
	}
	if ranges, _ := q.taken(); len(ranges) > 0 {
		t.Errorf("asked again for %v", ranges)
	}
	if q.blind > 0 {
		t.Errorf("%d ranges were asked for of any object of that name", q.blind)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	q := new(requests)
	address := s3test.Address(t, q.hook)
	content := sample(8 << 20)
	put(t, openAt(t, address, Config{}), "a", content)
	s := openAt(t, address, Config{CacheBytes: 1 << 20})
	f := opened(t, s, "a")
	for range 2 {
		if got, err := whole(f); err != nil || !bytes.Equal(got, content) {
			t.Fatal(err)
		}
	}
	blocks := s.(*S3).blocks
	blocks.CleanUp()
	kept := 0
	for b := range blocks.Values() {
		kept += cap(b)
	}
	if kept > 1<<20 {
		t.Errorf("%d bytes are kept", kept)
	}
}

// answer is what a server may do to the range of an object in place of giving it.
func answer(t *testing.T, spoil func(w http.ResponseWriter, r *http.Request) bool, c Config) (*requests, File, []byte) {
	t.Helper()
	q := new(requests)
	address := s3test.Address(t, q.hook)
	content := sample(700_000)
	put(t, openAt(t, address, Config{}), "a", content)
	f := opened(t, openAt(t, address, c), "a")
	q.taken()
	q.spoilWith(func(w http.ResponseWriter, r *http.Request) bool {
		return r.Header.Get("Range") != "" && spoil(w, r)
	})
	return q, f, content
}

// broken answers with the bytes up to a place, as a server that dies.
func broken(f *File, content []byte, upTo int) func(w http.ResponseWriter, r *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		var from, to int
		fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &from, &to)
		w.Header().Set("ETag", `"`+(*f).ID()+`"`)
		w.Header().Set("Last-Modified", "Mon, 02 Jan 2006 15:04:05 GMT")
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to, len(content)))
		w.Header().Set("Content-Length", fmt.Sprint(to-from+1))
		w.WriteHeader(http.StatusPartialContent)
		w.Write(content[from:min(to+1, upTo)])
		return true
	}
}

func TestAnswerBreaksOff(t *testing.T) {
	t.Parallel()
	var f File
	var content []byte
	times := 0
	q, f, content := answer(t, func(w http.ResponseWriter, r *http.Request) bool {
		times++
		return times <= 2 && broken(&f, content, 300_000)(w, r)
	}, Config{})
	b := make([]byte, len(content))
	if _, err := f.ReadAt(b, 0); err != nil || !bytes.Equal(b, content) {
		t.Error(err)
	}
	// It goes on with the first block that was not whole.
	if ranges, _ := q.taken(); strings.Join(ranges, " ") != "bytes=0-699999 bytes=262144-699999 bytes=262144-699999" {
		t.Errorf("asked for %v", ranges)
	}
	// Where it breaks off always, that is the error, and nothing is taken for whole.
	q, f, content = answer(t, func(w http.ResponseWriter, r *http.Request) bool { return broken(&f, content, 300_000)(w, r) }, Config{})
	if _, err := f.ReadAt(b, 0); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("truncated answers: %v", err)
	}
	if ranges, _ := q.taken(); len(ranges) != fetchTries {
		t.Errorf("asked for %v", ranges)
	}
	q.spoilWith(nil)
	waitForRest(t, f)
	if _, err := f.ReadAt(b, 0); err != nil || !bytes.Equal(b, content) {
		t.Errorf("after it: %v", err)
	}
}

// waitForRest lets the time pass in which the service is not asked.
func waitForRest(t *testing.T, f File) {
	t.Helper()
	r := &f.(*s3File).s.rest
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pause == 0 {
		t.Error("the service does not rest")
	}
	r.until = time.Now()
}

// Bytes of another place, of another object, or of all of it are not taken.
func TestWrongAnswers(t *testing.T) {
	t.Parallel()
	for name, wrong := range map[string]func(h http.Header, etag string) (status int, changed bool){
		"no range": func(http.Header, string) (int, bool) { return http.StatusOK, false },
		"another range": func(h http.Header, _ string) (int, bool) {
			h.Set("Content-Range", "bytes 1-700000/700001")
			return http.StatusPartialContent, false
		},
		"another object": func(h http.Header, _ string) (int, bool) {
			h.Set("ETag", `"0123456789abcdef0123456789abcdef"`)
			h.Set("Content-Range", "bytes 0-699999/700000")
			return http.StatusPartialContent, true
		},
	} {
		var f File
		_, f, content := answer(t, func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("ETag", `"`+f.ID()+`"`)
			w.Header().Set("Last-Modified", "Mon, 02 Jan 2006 15:04:05 GMT")
			status, _ := wrong(w.Header(), f.ID())
			w.WriteHeader(status)
			w.Write(make([]byte, 700_000))
			return true
		}, Config{})
		_, changed := wrong(make(http.Header), "")
		if _, err := f.ReadAt(make([]byte, len(content)), 0); err == nil || errors.Is(err, ErrChanged) != changed {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A service that does not answer costs one reader its patience, and then nobody until
// it is asked again; what is in memory is read all the same.
func TestServiceDoesNotAnswer(t *testing.T) {
	t.Parallel()
	q, f, content := answer(t, func(http.ResponseWriter, *http.Request) bool { return false }, Config{Patience: 200 * time.Millisecond})
	b := make([]byte, 100)
	if _, err := f.ReadAt(b, 0); err != nil {
		t.Fatal(err)
	}
	q.taken()
	q.spoilWith(func(_ http.ResponseWriter, r *http.Request) bool { <-r.Context().Done(); return true })
	start := time.Now()
	if _, err := f.ReadAt(b, 600_000); !errors.Is(err, ErrUnreachable) || errors.Is(err, ErrResting) {
		t.Errorf("no answer: %v", err)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("a reader waits for %s", took)
	}
	_, asked := q.taken()
	start = time.Now()
	for range 1000 {
		if _, err := f.ReadAt(b, 600_000); !errors.Is(err, ErrResting) {
			t.Fatal(err)
		}
	}
	if _, err := f.(*s3File).s.List(t.Context()); !errors.Is(err, ErrResting) {
		t.Error(err)
	}
	if _, err := f.(*s3File).s.Open(t.Context(), "a"); !errors.Is(err, ErrResting) {
		t.Error(err)
	}
	if _, again := q.taken(); again > 0 || asked == 0 || time.Since(start) > firstPause/2 {
		t.Errorf("after %d requests %d more, in %s", asked, again, time.Since(start))
	}
	if n, err := f.ReadAt(b, 100_000); n != len(b) || err != nil || !bytes.Equal(b, content[100_000:100_100]) {
		t.Errorf("what is in memory: %v", err)
	}
	q.spoilWith(nil)
	time.Sleep(firstPause)
	if _, err := f.ReadAt(b, 600_000); err != nil || !bytes.Equal(b, content[600_000:600_100]) {
		t.Errorf("when it answers again: %v", err)
	}
	if _, err := f.(*s3File).s.List(t.Context()); err != nil {
		t.Error(err)
	}
}

// During a trial all others are sent away.
func TestOneTrial(t *testing.T) {
	t.Parallel()
	var r rest
	now := func() { r.until = time.Now() }
	for _, want := range []time.Duration{1, 2, 4, 8, 16, 30, 30} {
		trial, err := r.enter(time.Minute)
		if err != nil || trial != (want > 1) {
			t.Fatal(want, trial, err)
		}
		if trial {
			if _, err := r.enter(time.Minute); !errors.Is(err, ErrResting) {
				t.Fatal("two trials at once")
			}
		}
		r.leave(trial, false)
		r.leave(false, false) // of a request that was made before
		if r.pause != want*time.Second {
			t.Errorf("%s, want %d s", r.pause, want)
		}
		if _, err := r.enter(time.Minute); !errors.Is(err, ErrResting) {
			t.Fatal("no rest")
		}
		now()
	}
	r.leave(false, true)
	if trial, err := r.enter(time.Minute); trial || err != nil {
		t.Error("it rests when it answers")
	}
}

// What was being put when the service died is not there, nor any of it.
func TestServiceDiesDuringPut(t *testing.T) {
	t.Parallel()
	for size, part := range map[int]string{100_000: "", 40 << 20: "partNumber=2"} {
		q := new(requests)
		address := s3test.Address(t, q.hook)
		s := openAt(t, address, Config{})
		put(t, s, "a", []byte("before"))
		puts := 0
		q.spoilWith(func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPut || !strings.Contains(r.URL.RawQuery, part) {
				return false
			}
			puts++
			w.WriteHeader(http.StatusForbidden)
			return true
		})
		path := filepath.Join(t.TempDir(), "a.tmp")
		must(t, os.WriteFile(path, sample(size), 0o600))
		if err := s.Put(t.Context(), "a", path); err == nil || puts == 0 {
			t.Errorf("put by a service that died: %v, %d", err, puts)
		}
		if _, err := os.Stat(path); err != nil {
			t.Errorf("what was not put is gone: %v", err)
		}
		if got, err := whole(opened(t, s, "a")); err != nil || string(got) != "before" {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		q.spoilWith(nil)
		must(t, s.Put(t.Context(), "a", path))
		if got, err := whole(opened(t, s, "a")); err != nil || !bytes.Equal(got, sample(size)) {
			t.Errorf("put again: %d bytes, %v", len(got), err)
		}
	}
}

// Uploads that were cut off long ago and folders of dead processes are removed, those
// of the living stay.
func TestSweepOfS3(t *testing.T) {
	t.Parallel()
	q := new(requests)
	address, temp := s3test.Address(t, q.hook), t.TempDir()
	s := openAt(t, address, Config{TempDir: temp}).(*S3)
	must(t, s.Sweep(t.Context(), ".pmtiles"))
	for _, name := range []string{"a@0.pmtiles", "b", "x/a@0.pmtiles"} {
		if _, err := s.bucket.Core().NewMultipartUpload(t.Context(), s.bucket.Name, s.key(name), minio.PutObjectOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	must(t, os.Mkdir(filepath.Join(temp, scratchPrefix+"dead"), 0o700))
	dir, done, err := s.Scratch()
	must(t, err)
	left := func() string {
		t.Helper()
		var keys []string
		for u := range s.bucket.Client.ListIncompleteUploads(t.Context(), s.bucket.Name, s.bucket.Prefix, true) {
			must(t, u.Err)
			keys = append(keys, strings.TrimPrefix(u.Key, s.bucket.Prefix))
		}
		return strings.Join(keys, " ")
	}
	must(t, s.Sweep(t.Context(), ".pmtiles"))
	if got := left(); got != "a@0.pmtiles b x/a@0.pmtiles" {
		t.Errorf("left are %q", got)
	}
	if entries, err := os.ReadDir(temp); err != nil || len(entries) != 1 || filepath.Join(temp, entries[0].Name()) != dir {
		t.Errorf("left are %v", entries)
	}
	must(t, done())
	q.spoilWith(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet || !r.URL.Query().Has("uploads") {
			return false
		}
		fmt.Fprintf(w, `<ListMultipartUploadsResult><Bucket>%s</Bucket>`, s.bucket.Name)
		for _, u := range strings.Fields(`a@0.pmtiles|1 b|2 x/a@0.pmtiles|3`) {
			name, id, _ := strings.Cut(u, "|")
			fmt.Fprintf(w, `<Upload><Key>%s%s</Key><UploadId>%s</UploadId><Initiated>%s</Initiated></Upload>`, s.bucket.Prefix, name, id, time.Now().Add(-25*time.Hour).UTC().Format(time.RFC3339))
		}
		fmt.Fprint(w, `</ListMultipartUploadsResult>`)
		return true
	})
	must(t, s.Sweep(t.Context(), ".pmtiles"))
	q.spoilWith(nil)
	if got := left(); got != "b x/a@0.pmtiles" {
		t.Errorf("left are %q", got)
	}
}

// What is no file of the shelf is not listed.
func TestOtherKeys(t *testing.T) {
	t.Parallel()
	s := openAt(t, s3test.Address(t, nil), Config{}).(*S3)
	for _, key := range []string{s.key("a"), s.key("sub/b"), s.key(`c\d`)} {
		if _, err := s.bucket.Put(t.Context(), key, []byte("x"), minio.PutObjectOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if got := namesOf(t, s); got != "a" {
		t.Errorf("%q", got)
	}
}

func TestForbidden(t *testing.T) {
	t.Parallel()
	q := new(requests)
	address := s3test.Address(t, q.hook)
	q.spoilWith(func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusForbidden)
		io.WriteString(w, `<Error><Code>AccessDenied</Code><Message>Access Denied.</Message></Error>`)
		return true
	})
	s := openAt(t, address, Config{})
	_, list := s.List(t.Context())
	_, open := openAt(t, address, Config{}).Open(t.Context(), "a")
	for _, err := range []error{list, open} {
		if err == nil || errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "Access Denied") || strings.Contains(err.Error(), s3test.Keys().SecretKey) {
			t.Errorf("%v", err)
		}
	}
}
