package api

import (
	"errors"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"changde/ingest"
	"changde/problem"
)

// refused tests that err is a problem of the caller, with both texts.
func refused(t *testing.T, err error) {
	t.Helper()
	var p *problem.Error
	if err == nil || !errors.As(err, &p) || p.Kind != problem.Invalid && p.Kind != problem.TooLarge || p.ZH == "" || p.EN == "" {
		t.Fatalf("not the caller's problem: %v", err)
	}
}

// FuzzParameters checks that what is read of a query is within its bounds.
func FuzzParameters(f *testing.F) {
	for _, q := range []string{
		"bbox=111.6,29,111.8,29.1&limit=10&next=3-7-1200", "bbox=170,-10,0,-170,10,9&datetime=2012-01-01T00:00:00Z/..",
		"datetime=2012-09-05", "datetime=../2012-13-01", "bbox=NaN,1,2,3&limit=1e9", "next=9223372036854775808--1", "limit=0&offset=-1", "bbox=-200,0,10,10",
	} {
		f.Add(q)
	}
	f.Fuzz(func(t *testing.T, text string) {
		q, err := url.ParseQuery(text)
		if err != nil {
			return
		}
		if b, err := bbox(q); err != nil {
			refused(t, err)
		} else if b != nil && !(math.Abs(b[0]) <= 180 && math.Abs(b[2]) <= 180 && -90 <= b[1] && b[1] <= b[3] && b[3] <= 90) {
			t.Fatalf("a box is %v", b)
		}
		if from, to, err := datetime(q); err != nil {
			refused(t, err)
		} else if q.Has("datetime") && from == nil && to == nil || from != nil && to != nil && from.After(*to) {
			t.Fatalf("an interval is %v to %v", from, to)
		}
		if n, err := limit(q, 10, 1000); err != nil {
			refused(t, err)
		} else if n < 1 || n > 1000 {
			t.Fatalf("a page has %d", n)
		}
		if n, err := integer(q, "offset", 0, 0, 100_000); err != nil {
			refused(t, err)
		} else if n < 0 || n > 100_000 {
			t.Fatalf("an offset is %d", n)
		}
		mark, err := next(q)
		if err != nil {
			refused(t, err)
			return
		}
		if mark == nil {
			return
		}
		again, err := next(url.Values{"next": {mark.String()}})
		if err != nil || *again != *mark || mark.release < 1 || mark.revision < 0 || mark.after < 0 {
			t.Fatalf("the mark %+v is read again as %+v, %v", mark, again, err)
		}
	})
}

// FuzzDeliveryBody checks that a body is the delivery it says or the caller's problem.
func FuzzDeliveryBody(f *testing.F) {
	f.Add(`{"dataset":"dltb","mode":"changes","document":"常国土资〔2012〕5号","settings":{"aliases":{"a":"b"},"box":[110,28,112,30]}}`)
	f.Add(`{"dataset":"a"} {}`)
	f.Add(`{"settings":{"box":[1]},"note":"\u0000"}`)
	f.Add(`{"crs":1e400}`)
	f.Fuzz(func(t *testing.T, text string) {
		hr := httptest.NewRequest(http.MethodPost, "/deliveries", strings.NewReader(text))
		hr.Body = http.MaxBytesReader(httptest.NewRecorder(), hr.Body, 1<<12)
		var body ingest.Request
		if err := readJSON(&request{Request: hr}, &body); err != nil {
			refused(t, err)
		} else if len(text) > 1<<12 || strings.Contains(body.Note+body.Document+body.Dataset, "\x00") {
			t.Fatalf("%q is taken as %+v", text, body)
		}
	})
}
