package api_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"changde/catalog"
	"changde/ingest"
)

func TestBadRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const items = "/collections/counties/items"
	const tile = "/collections/counties/tiles/WebMercatorQuad/"
	for _, c := range []struct {
		target string
		status int
		code   string // empty: any
	}{
		// Tiles outside their matrix.
		{tile + "0/0/1", 404, ""},
		{tile + "0/1/0", 404, ""},
		{tile + "8/256/0", 404, ""},
		{tile + "8/0/256", 404, ""},
		{tile + "-1/0/0", 404, ""},
		{tile + "8/-1/0", 404, ""},
		{tile + "8/0/-207", 404, ""},
		{tile + "23/0/0", 404, ""},
		{tile + "99/0/0", 404, ""},
		{tile + "2147483648/0/0", 404, ""},
		{tile + "8/9223372036854775807/0", 404, ""},
		{tile + "8/99999999999999999999/0", 404, ""},
		{tile + "8/106/1e2", 404, ""},
		{tile + "8/106/0x10", 404, ""},
		{tile + "8/106/207.5", 404, ""},
		{tile + "z/y/x", 404, ""},
		{tile + "%7Bz%7D/%7By%7D/%7Bx%7D", 404, ""},
		{tile + "8/106/207%00", 404, ""},
		{tile + "8/106/%EF%BC%91", 404, ""}, // a full-width digit
		{tile + "8/106", 404, ""},
		{tile + "8/106/207/1", 404, ""},
		{tile + "8/106/207.mvt", 404, ""},
		{"/collections/counties/tiles/NoSuchQuad/0/0/0", 404, ""},
		{"/collections/counties/tiles/NoSuchQuad", 404, ""},
		{"/tiles/WebMercatorQuad/0/0/7", 404, ""},
		{"/tileMatrixSets/NoSuchQuad", 404, ""},
		{tile + "8/106/207?release=0", 400, "parameter-invalid"},
		{tile + "8/106/207?release=-1", 400, "parameter-invalid"},
		{tile + "8/106/207?release=x", 400, "parameter-invalid"},
		{tile + "8/106/207?release=99999999999", 400, "parameter-invalid"},
		{tile + "8/106/207?release=9", 404, "release-not-kept"},
		// Boxes.
		{items + "?bbox=", 400, "parameter-invalid"},
		{items + "?bbox=1,2,3", 400, "parameter-invalid"},
		{items + "?bbox=111,28,112,30,5", 400, "parameter-invalid"},
		{items + "?bbox=111,28,112,30,5,6,7", 400, "parameter-invalid"},
		{items + "?bbox=NaN,28,112,30", 400, "parameter-invalid"},
		{items + "?bbox=111,28,Inf,30", 400, "parameter-invalid"},
		{items + "?bbox=111,28,1e999,30", 400, "parameter-invalid"},
		{items + "?bbox=111,30,112,28", 400, "parameter-invalid"},
		{items + "?bbox=28,111,30,112", 400, "parameter-invalid"}, // latitude first
		{items + "?bbox=181,28,182,30", 400, "parameter-invalid"},
		{items + "?bbox=111;28;112;30", 400, "query-malformed"},
		{items + "?bbox=a,b,c,d", 400, "parameter-invalid"},
		{items + "?bbox=111,28,112," + strings.Repeat("9", 5000), 400, "parameter-invalid"},
		{items + "?bbox=" + strings.Repeat("1,", 20000) + "1", 400, "parameter-invalid"},
		// Limits, offsets, marks.
		{items + "?limit=0", 400, "parameter-invalid"},
		{items + "?limit=-1", 400, "parameter-invalid"},
		{items + "?limit=1e9", 400, "parameter-invalid"},
		{items + "?limit=", 400, "parameter-invalid"},
		{items + "?limit=ten", 400, "parameter-invalid"},
		{items + "?limit=9223372036854775808", 400, "parameter-invalid"},
		{items + "?limit=1.5", 400, "parameter-invalid"},
		{items + "?offset=-1", 400, "parameter-invalid"},
		{items + "?offset=1000001", 400, ""},
		{items + "?offset=9223372036854775807", 400, ""},
		{items + "?offset=x", 400, "parameter-invalid"},
		{items + "?next=", 400, "parameter-invalid"},
		{items + "?next=rubbish", 400, "parameter-invalid"},
		{items + "?next=1", 400, "parameter-invalid"},
		{items + "?next=1-", 400, "parameter-invalid"},
		{items + "?next=1--5", 400, "parameter-invalid"},
		{items + "?next=0-1-5", 400, "parameter-invalid"},
		{items + "?next=1-1-99999999999999999999", 400, "parameter-invalid"},
		{items + "?next=77-1-0", 404, "release-not-kept"},
		{items + "?next=1-1-0&offset=1", 400, "parameter-invalid"},
		{items + "?next=1-1-0&release=2", 404, "release-not-kept"},
		// Times.
		{items + "?datetime=", 400, "parameter-invalid"},
		{items + "?datetime=yesterday", 400, "parameter-invalid"},
		{items + "?datetime=..", 400, "parameter-invalid"},
		{items + "?datetime=../..", 400, "parameter-invalid"},
		{items + "?datetime=/", 400, "parameter-invalid"},
		{items + "?datetime=2012-02-30", 400, "parameter-invalid"},
		{items + "?datetime=2012-01-01T25:00:00Z", 400, "parameter-invalid"},
		{items + "?datetime=2013-01-01/2012-01-01", 400, "parameter-invalid"},
		{items + "?datetime=2012-01-01/2012-02-01/2012-03-01", 400, "parameter-invalid"},
		{"/statistics?from=2012-13-01", 400, ""},
		{"/statistics?from=2013-01-01&to=2012-01-01", 400, ""},
		{"/projects?step=built", 400, ""},
		{"/projects?next=%27;drop", 400, ""},
		{"/projects?limit=0", 400, ""},
		{"/projects?q=" + strings.Repeat("%E5%B8%B8", 101), 400, ""},
		// Parameters.
		{items + "?colour=red", 400, "parameter-unknown"},
		{items + "?LIMIT=1", 400, "parameter-unknown"},
		{items + "?limit=1&limit=2", 400, "parameter-repeated"},
		{items + "?limit=1%", 400, "query-malformed"},
		{items + "?limit=%zz", 400, "query-malformed"},
		{items + "?limit=1%00", 400, "parameter-text"},
		{"/collections?limit=1", 400, "parameter-unknown"},
		{"/collections?f=xml", 400, "parameter-invalid"},
		{"/?f=", 400, "parameter-invalid"},
		// Names.
		{"/collections/nosuch", 404, "collection-not-found"},
		{"/collections/COUNTIES", 404, "collection-not-found"},
		{"/collections/counties%00", 404, "collection-not-found"},
		{"/collections/counties%20", 404, "collection-not-found"},
		{"/collections/%63ounties%2F..%2Fpipes", 404, "collection-not-found"},
		{"/collections/%2563ounties", 404, "collection-not-found"}, // escaped twice
		{"/collections/%E5%8E%BF", 404, "collection-not-found"},
		{"/collections/%FF%FE", 404, "collection-not-found"},
		{"/collections/%22%3B%20drop%20table%20changde.datasets%3B--", 404, "collection-not-found"},
		{"/collections/" + strings.Repeat("a", 8000), 404, "collection-not-found"},
		{"/collections/counties/items/0", 404, ""},
		{"/collections/counties/items/-1", 404, ""},
		{"/collections/counties/items/99999999999999999999", 404, ""},
		{"/collections/counties/items/1;drop", 404, ""},
		{"/collections/counties/items/%22%3B%20drop%20table", 404, ""},
		{"/collections/counties/items/1/projects/2", 404, "no-resource"},
		{"/collections/counties/", 404, ""},
		{"/collections//items", 404, ""},
		{"/nosuch", 404, "no-resource"},
		{"/projects/%22%3B%20drop%20table", 404, ""},
		{"/projects/%00", 404, ""},
		{"/assets/%FF", 404, ""},
		{"/assets/" + strings.Repeat("A", 3000), 404, ""},
		{"/deliveries/x", 404, "delivery-not-found"},
		{"/deliveries/-1", 404, "delivery-not-found"},
		{"/deliveries/99999999999999999999", 404, "delivery-not-found"},
		{"/tiles?collections=", 404, "collection-not-found"},
		{"/tiles?collections=,,,", 404, "collection-not-found"},
		{"/collections/counties/styles/night", 404, "style-not-found"},
		{"/collections/nosuch/styles/night", 404, "collection-not-found"},
		{"/styles/night", 404, "style-not-found"},
		{"/styles/default?collections=" + strings.Repeat("counties,", 100) + "counties", 400, ""},
		{"/styles/default?collections=", 404, "collection-not-found"},
		{"/tilejson?collections=counties,%22%3B%20drop%20table", 404, "collection-not-found"},
		{"/tiles/" + address + "?collections=" + strings.Repeat("counties,", 20) + "counties", 400, "parameter-invalid"},
	} {
		a := w.get(t, egov, c.target)
		target := fmt.Sprintf("%.120s", c.target)
		if a.status != c.status {
			t.Errorf("GET %s: status %d, want %d: %.300s", target, a.status, c.status, a.body)
			continue
		}
		p := a.json(t)
		if got := problemOf(t, a); c.code != "" && got != c.code {
			t.Errorf("GET %s: problem %s, want %s", target, got, c.code)
		}
		if zh, _ := p["detail"].(string); !strings.ContainsFunc(zh, isHan) {
			t.Errorf("GET %s: the detail is not Chinese: %q", target, zh)
		}
		if en, _ := p["detailEn"].(string); en == "" || len(a.body) > 20_000 {
			t.Errorf("GET %s: no English detail, or %d bytes of a problem", target, len(a.body))
		}
	}
}

// TestOddButRight are requests that look wrong and are not.
func TestOddButRight(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for target, want := range map[string]float64{
		"/collections/wells/items?limit=1000000000":                           wellCount, // means the maximum
		"/collections/wells/items?limit=9223372036854775807":                  wellCount,
		"/collections/wells/items?bbox=170,-10,-170,10":                       0, // across the antimeridian
		"/collections/wells/items?bbox=112,28,111,30":                         0, // so does this
		"/collections/wells/items?bbox=111.49,28.89,0,111.51,28.91,100":       1,
		"/collections/wells/items?bbox=%20111.49,%2028.89,111.51,28.91":       1,
		"/collections/wells/items?datetime=2011-01-03&limit=100":              1,
		"/collections/wells/items?datetime=2011-01-03T00:00:00Z&limit=100":    1,
		"/collections/wells/items?datetime=2011-01-03/2011-01-05&limit=100":   3,
		"/collections/wells/items?datetime=../2011-01-05T00:00:00Z&limit=100": 5,
		"/collections/wells/items?datetime=2011-05-01/&limit=100":             17,
		"/collections/wells/items?offset=1000000":                             0,
		"/collections/%63ounties/items?limit=3":                               3,
		"/collections/counties/items?limit=3&f=json":                          3,
		"/collections/wells/items?next=1-1-9223372036854775807":               0,
	} {
		a := w.get(t, egov, target)
		if a.status != http.StatusOK {
			t.Errorf("GET %s: status %d: %s", target, a.status, a.body)
		} else if got := a.json(t)["numberReturned"]; got != want {
			t.Errorf("GET %s: %v features, want %v", target, got, want)
		}
	}
}

func TestMethods(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []struct{ method, target, allow string }{
		{http.MethodPost, "/collections", "GET, HEAD"},
		{http.MethodDelete, "/collections/counties", "GET, HEAD"},
		{http.MethodPatch, "/collections/counties/items/1", "GET, HEAD, PUT, DELETE"},
		{http.MethodPut, "/projects", "GET, HEAD, POST"},
		{http.MethodPatch, "/", "GET, HEAD"},
	} {
		a := w.do(t, c.method, egov, c.target, nil)
		if a.status != http.StatusMethodNotAllowed || problemOf(t, a) != "method-not-allowed" || a.header.Get("Allow") != c.allow {
			t.Errorf("%s %s: status %d, Allow %q, want %q: %s", c.method, c.target, a.status, a.header.Get("Allow"), c.allow, a.body)
		}
	}
	if a := w.do(t, "BREW", egov, "/collections", nil); a.status != http.StatusMethodNotAllowed {
		t.Errorf("BREW: status %d: %s", a.status, a.body)
	}
	for _, target := range []string{"/collections/nosuch", "/collections/pipes/items/1", "/collections/counties/items?limit=0", "/nosuch"} {
		get, head := w.get(t, anonymous, target), w.do(t, http.MethodHead, anonymous, target, nil)
		if get.status != head.status {
			t.Errorf("HEAD %s: status %d, GET has %d", target, head.status, get.status)
		}
	}
	preflight := w.do(t, http.MethodOptions, anonymous, "/collections/counties/items", nil, header{
		"Origin": "https://example.org", "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "x-api-key",
	})
	if preflight.status/100 != 2 || preflight.header.Get("Access-Control-Allow-Origin") != "*" || preflight.header.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("preflight: status %d, %v", preflight.status, preflight.header)
	}
}

// zeros is an endless body that counts what is taken of it.
type zeros struct{ left, taken atomic.Int64 }

func (z *zeros) Read(p []byte) (int, error) {
	n := min(int64(len(p)), z.left.Load())
	if n == 0 {
		return 0, io.EOF
	}
	clear(p[:n])
	z.left.Add(-n)
	z.taken.Add(n)
	return int(n), nil
}

func TestBadBodies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, c := range map[string]struct {
		body   string
		status []int
	}{
		"empty":        {"", []int{400}},
		"blank":        {"  \n", []int{400}},
		"not JSON":     {"<project/>", []int{400}},
		"a number":     {"12", []int{400}},
		"null":         {"null", []int{400}},
		"a list":       {"[]", []int{400}},
		"cut":          {`{"name": "x`, []int{400}},
		"two":          {`{} {}`, []int{400}},
		"an object":    {`{}`, []int{400}},
		"not UTF-8":    {"{\"name\": \"\xff\xfe\"}", []int{400}},
		"GBK":          {"{\"name\": \"\xb3\xa3\xb5\xc2\"}", []int{400}},
		"twice":        {`{"name": "a", "name": "b"}`, []int{400}},
		"unknown":      {`{"name": "a", "drop": "table"}`, []int{400}},
		"NUL":          {`{"name": "a\u0000b", "category": "application", "fund": "bond", "unit": "x"}`, []int{400}},
		"deep lists":   {strings.Repeat("[", 1_000_000) + strings.Repeat("]", 1_000_000), []int{400, 413}},
		"deep objects": {strings.Repeat(`{"a":`, 700_000) + "1" + strings.Repeat("}", 700_000), []int{400, 413}},
		"too long":     {`{"name": "` + strings.Repeat("x", 5<<20) + `"}`, []int{413}},
	} {
		start := time.Now()
		a := w.do(t, http.MethodPost, water, "/projects", strings.NewReader(c.body))
		ok := false
		for _, s := range c.status {
			ok = ok || a.status == s
		}
		if !ok {
			t.Errorf("%s: status %d, want %v: %.300s", name, a.status, c.status, a.body)
		}
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("%s: %v", name, took)
		}
	}
	for _, media := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "nonsense"} {
		a := w.do(t, http.MethodPost, water, "/projects", strings.NewReader(`{}`), header{"Content-Type": media})
		if a.status != http.StatusUnsupportedMediaType {
			t.Errorf("content type %q: status %d: %s", media, a.status, a.body)
		}
	}
	var count int
	check(t, w.pool.QueryRow(t.Context(), "SELECT count(*) FROM changde.projects").Scan(&count))
	if count != 0 {
		t.Errorf("%d projects were made of bad bodies", count)
	}
}

func TestEndlessBody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const gibibyte = 1 << 30
	for name, wrap := range map[string]func(io.Reader) io.Reader{
		"of unknown length": func(r io.Reader) io.Reader { return r },
		"after a space":     func(r io.Reader) io.Reader { return io.MultiReader(strings.NewReader(" "), r) },
	} {
		z := &zeros{}
		z.left.Store(gibibyte)
		start := time.Now()
		a := w.do(t, http.MethodPost, water, "/projects", wrap(z))
		if a.status != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: status %d: %s", name, a.status, a.body)
		}
		if taken, took := z.taken.Load(), time.Since(start); taken > 64<<20 || took > 10*time.Second {
			t.Errorf("%s: %d bytes were taken, in %v", name, taken, took)
		}
	}
	z := &zeros{}
	z.left.Store(gibibyte)
	a := w.do(t, http.MethodPost, anonymous, "/projects", z)
	if a.status != http.StatusUnauthorized && a.status != http.StatusRequestEntityTooLarge {
		t.Errorf("without a key: status %d: %s", a.status, a.body)
	}
	if z.taken.Load() > 64<<20 {
		t.Errorf("without a key %d bytes were taken", z.taken.Load())
	}
}

// TestSlowReaderHoldsNoConnection reads a long answer a byte at a time. While the
// server is still writing, the pool has all its connections.
func TestSlowReaderHoldsNoConnection(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	long := geojsonOf(t, 600, strings.Repeat("深", 8000))
	w.deliver(t, ingest.Request{Files: []string{long}, Dataset: "notes", Sender: land, Settings: ingest.Settings{TitleZH: "记录", Owner: land, Sharing: catalog.Public}})
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.server.URL, "http://"))
	check(t, err)
	defer conn.Close()
	check(t, conn.(*net.TCPConn).SetReadBuffer(4096))
	_, err = io.WriteString(conn, "GET /collections/notes/items?limit=10000 HTTP/1.1\r\nHost: localhost\r\n\r\n")
	check(t, err)
	r := bufio.NewReaderSize(conn, 16)
	var status bytes.Buffer
	for range 40 { // four seconds of a very slow client
		b, err := r.ReadByte()
		check(t, err)
		status.WriteByte(b)
		time.Sleep(100 * time.Millisecond)
	}
	if !strings.HasPrefix(status.String(), "HTTP/1.1 200") {
		t.Errorf("the answer begins %q", status.String())
	}
	if busy := w.busy.Load(); busy != 1 {
		t.Fatalf("%d requests are being answered, want the slow one: the answer is too short for this test", busy)
	}
	if n := w.pool.Stat().AcquiredConns(); n != 0 {
		t.Errorf("a slow client holds %d connections to the database", n)
	}
}

// geojsonOf writes n points with a text.
func geojsonOf(t testing.TB, n int, text string) string {
	t.Helper()
	var b bytes.Buffer
	b.WriteString(`{"type":"FeatureCollection","features":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		lon, lat := place(i)
		fmt.Fprintf(&b, `{"type":"Feature","geometry":{"type":"Point","coordinates":[%g,%g]},"properties":{"n":%d,"text":%q}}`, lon, lat, i, text)
	}
	b.WriteString("]}")
	path := t.TempDir() + "/points.geojson"
	check(t, os.WriteFile(path, b.Bytes(), 0o600))
	return path
}
