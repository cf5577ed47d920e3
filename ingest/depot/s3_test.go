package depot

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/minio/minio-go/v7"

	"changde/s3"
)

// TestMachineDies kills the machine at each request of an upload, once before it
// reaches the server and once before its answer comes back. Another machine then
// asks for the size and goes on, and the file comes out whole.
func TestMachineDies(t *testing.T) {
	t.Parallel()
	url := fakeS3(t, nil)
	content := sample(470)
	for _, carried := range []bool{false, true} {
		died := true
		for requests := 1; died; requests++ {
			if requests > 200 {
				t.Fatal("the machine never lives")
			}
			name := fmt.Sprintf("%d-%t/地类图斑.zip", requests, carried)
			transport := &mortal{left: requests, carried: carried}
			stored, err := upload470(t, small(t, url, Config{PartSize: 100, Transport: transport, retries: 1}), name, content)
			died = err != nil

			other := small(t, url, Config{PartSize: 100})
			must0 := func(err error) {
				t.Helper()
				if err != nil {
					t.Fatalf("%s, machine died with %v: %v", name, stored, err)
				}
			}
			if err := other.Begin(t.Context(), name); err != nil {
				wantCode(t, err, "depot-sealed")
			}
			size, err := other.Size(t.Context(), name)
			must0(err)
			if size < stored {
				t.Fatalf("%s: %d bytes are there, %d were promised", name, size, stored)
			}
			if size < int64(len(content)) {
				_, err = other.Append(t.Context(), name, size, bytes.NewReader(content[size:]), 0)
				must0(err)
			}
			size, sum, err := other.Seal(t.Context(), name)
			must0(err)
			if size != int64(len(content)) || !bytes.Equal(sum, sumOf(content)) {
				t.Fatalf("%s: sealed %d, %x", name, size, sum)
			}
			if !bytes.Equal(fetched(t, other, name), content) {
				t.Fatalf("%s differs", name)
			}
			must0(other.Remove(t.Context(), name))
		}
	}
	wantEmpty(t, url)
}

// upload470 sends content in three calls, and tells how much it was promised.
func upload470(t *testing.T, s Store, name string, content []byte) (stored int64, err error) {
	if err := s.Begin(t.Context(), name); err != nil {
		return 0, err
	}
	for _, end := range []int{130, 360, 470} {
		if stored, err = s.Append(t.Context(), name, stored, bytes.NewReader(content[stored:end]), 0); err != nil {
			return stored, err
		}
	}
	_, _, err = s.Seal(t.Context(), name)
	return stored, err
}

// wantEmpty checks that nothing is left in the bucket but the probes of machines
// that died while probing.
func wantEmpty(t *testing.T, url string) {
	t.Helper()
	b, err := s3.Connect(url, s3.Config{Credentials: testKeys})
	must(t, err)
	for info := range b.Client.ListObjectsIter(t.Context(), b.Name, minio.ListObjectsOptions{Recursive: true}) {
		if info.Err != nil || !strings.Contains(info.Key, "/state/probe-") {
			t.Errorf("left: %s %v", info.Key, info.Err)
		}
	}
	for info := range b.Client.ListIncompleteUploads(t.Context(), b.Name, "", true) {
		if !s3.IsNoUpload(info.Err) { // which this server says when it has none
			t.Errorf("left: upload %s %v", info.Key, info.Err)
		}
	}
}

// TestRealParts sends parts as large as S3 demands them, cut at odd places.
func TestRealParts(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var parts []int
	url := fakeS3(t, func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut && r.URL.Query().Has("partNumber") {
			mu.Lock()
			defer mu.Unlock()
			n, _ := strconv.Atoi(r.Header.Get("Content-Length"))
			parts = append(parts, n)
		}
		return false
	})
	s, err := Open(url, Config{Credentials: testKeys, PartSize: 1})
	must(t, err)
	content := sample(12<<20 + 345)
	const name = "9/三调 DLTB.gdb.zip"
	must(t, s.Begin(t.Context(), name))
	var size int64
	for _, end := range []int64{1, 4 << 20, 5<<20 - 1, 5<<20 + 7, 11 << 20, int64(len(content))} {
		size, err = s.Append(t.Context(), name, size, bytes.NewReader(content[size:end]), 0)
		must(t, err)
	}
	_, sum, err := s.Seal(t.Context(), name)
	must(t, err)
	if !bytes.Equal(sum, sumOf(content)) || !bytes.Equal(fetched(t, s, name), content) {
		t.Error("the file differs")
	}
	for info := range s.(*S3).core.ListObjectsIter(t.Context(), "shoujian", minio.ListObjectsOptions{Recursive: true}) {
		if strings.Contains(info.Key, "/tail/") {
			t.Errorf("left: %s", info.Key)
		}
	}
	if len(parts) != 3 || parts[0] < minPart || parts[1] < minPart {
		t.Errorf("parts of %d bytes", parts)
	}
	must(t, s.Remove(t.Context(), name))
	wantEmpty(t, url)
}

// TestFetchFromABadServer: broken connections are resumed, changed bytes refused.
func TestFetchFromABadServer(t *testing.T) {
	t.Parallel()
	content := sample(100_000)
	breaks, flip := 0, false
	url := fakeS3(t, func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet || !strings.Contains(r.URL.Path, "/files/") {
			return false
		}
		from := 0
		if spec := r.Header.Get("Range"); spec != "" {
			fmt.Sscanf(spec, "bytes=%d-", &from)
		}
		body := bytes.Clone(content[from:])
		if flip {
			body[len(body)/2] ^= 1
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.Header().Set("Last-Modified", "Mon, 02 Jan 2006 15:04:05 GMT")
		if from > 0 {
			w.WriteHeader(http.StatusPartialContent)
		}
		if breaks < 3 && !flip {
			breaks++
			w.Write(body[:30_000])
			return true // the server closes a connection with bytes missing
		}
		w.Write(body)
		return true
	})
	s := small(t, url, Config{})
	put(t, s, "1/河流.gpkg", content)
	if !bytes.Equal(fetched(t, s, "1/河流.gpkg"), content) || breaks != 3 {
		t.Errorf("differs after %d breaks", breaks)
	}
	flip = true
	dir := t.TempDir()
	if _, err := s.Fetch(t.Context(), "1/河流.gpkg", dir); err == nil || !strings.Contains(err.Error(), "not what was sealed") {
		t.Errorf("changed bytes: %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestServiceWithoutConditions(t *testing.T) {
	t.Parallel()
	url := fakeS3(t, func(_ http.ResponseWriter, r *http.Request) bool {
		r.Header.Del("If-Match")
		r.Header.Del("If-None-Match")
		return false
	})
	wantCode(t, small(t, url, Config{}).Begin(t.Context(), "1/a"), "depot-conditional")
	wantEmpty(t, url)
}

// TestSecretsStaySecret looks for the keys in whatever can be printed.
func TestSecretsStaySecret(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		io.WriteString(w, `<Error><Code>SignatureDoesNotMatch</Code><Message>the signature does not match</Message></Error>`)
	}))
	t.Cleanup(server.Close)
	config := Config{Credentials: testKeys}
	refused, err := Open("s3://shoujian/x?region=r&endpoint="+server.URL, config)
	must(t, err)
	dead, err := Open("s3://shoujian/x?region=r&endpoint=http://127.0.0.1:1", config)
	must(t, err)
	texts := []string{fmt.Sprintf("%v %+v %#v %v", config, config, config, &config), fmt.Sprintf("%+v %#v", refused, refused)}
	b, err := json.Marshal(config.Credentials)
	must(t, err)
	texts = append(texts, string(b))
	for _, s := range []Store{refused, dead} {
		_, _, seal := s.Seal(t.Context(), "1/a")
		_, fetch := s.Fetch(t.Context(), "1/a", t.TempDir())
		_, list := s.List(t.Context(), "")
		for _, err := range []error{s.Begin(t.Context(), "1/a"), seal, fetch, list, s.Remove(t.Context(), "1/a")} {
			if err == nil {
				t.Fatal("no error")
			}
			texts = append(texts, fmt.Sprintf("%v %+v %#v", err, err, err))
		}
	}
	for _, url := range []string{"s3://AKIATESTKEY:s3cr3t-of-the-test@b/p", "s3://b:s3cr3t-of-the-test/%zz", "s3://bucket/p?secret=s3cr3t-of-the-test", "s3://bucket/p?endpoint=https://u:s3cr3t-of-the-test@h", "http://u:s3cr3t-of-the-test@h/"} {
		_, err := Open(url, config)
		wantCode(t, err, "s3-url")
		texts = append(texts, fmt.Sprintf("%v %+v", err, errors.Unwrap(err)))
	}
	for _, text := range texts {
		for _, secret := range []string{testKeys.AccessKey, testKeys.SecretKey, testKeys.SessionToken} {
			if strings.Contains(text, secret) {
				t.Errorf("%q in %s", secret, text)
			}
		}
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	config := Config{Credentials: testKeys}
	dir := t.TempDir()
	for url, want := range map[string]string{
		dir + "/a":                       "",
		"file://" + dir + "/b":           "",
		"s3://changde-depot/收件?region=r": "",
		"":                               "s3-url",
		"ftp://a/b":                      "s3-url",
		"s3://bucket?other=a":            "s3-url",
	} {
		_, err := Open(url, config)
		if want == "" && err != nil {
			t.Errorf("%s: %v", url, err)
		}
		if want != "" {
			wantCode(t, err, want)
		}
	}
	_, err := Open("s3://bucket", Config{})
	wantCode(t, err, "s3-credentials")
}

func TestRemoveDuringAppend(t *testing.T) {
	t.Parallel()
	url := fakeS3(t, nil)
	s := small(t, url, Config{PartSize: 100})
	must(t, s.Begin(t.Context(), "1/a"))
	n := 0
	r := readerFunc(func(p []byte) (int, error) {
		if n++; n == 3 {
			if err := small(t, url, Config{}).Remove(context.Background(), "1/a"); err != nil {
				t.Error(err)
			}
		}
		return copy(p, sample(90)), nil
	})
	_, err := s.Append(t.Context(), "1/a", 0, r, 1000)
	if err == nil {
		t.Fatal("appended to what was removed")
	}
	must(t, s.Remove(t.Context(), "1/a"))
	wantNoFiles(t, s)
}

func wantNoFiles(t *testing.T, s Store) {
	t.Helper()
	if left, err := s.List(t.Context(), ""); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}
