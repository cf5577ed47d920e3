package dropbox

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"
)

// TestMachineDies kills the watcher at each request of a parcel's way, once before
// it reaches the server and once before its answer comes back. Another watcher
// carries the parcel through; it makes one delivery, and no object is lost or
// left in two places.
func TestMachineDies(t *testing.T) {
	t.Parallel()
	const enough = 30 // requests for the whole way
	for _, carried := range []bool{false, true} {
		for requests := 1; requests <= enough; requests++ {
			t.Run(fmt.Sprintf("%d, carried %t", requests, carried), func(t *testing.T) {
				t.Parallel()
				at := newS3Place(t, nil)
				config := quick(t)
				config.Lease = 60 * time.Millisecond
				at.put(t, "局/宗地.shp", "shp")
				at.put(t, "局/宗地.dbf", "dbf")
				at.put(t, "局/宗地.ok", "")
				r := &receiver{}
				dying := NewS3(at.bucket(t, &mortal{left: requests, carried: carried}), config)
				if died := once(t, dying, r, config) != nil; died && requests == enough || !died && requests < 20 {
					t.Fatalf("it died: %t", died)
				}
				stop := watching(t, at.open(t, config), nil, r.receive, config)
				eventually(t, "it is settled", func() bool { return r.count() > 0 && at.claims(t) == 0 })
				stop()
				if len(r.ids) != 1 {
					t.Errorf("%d deliveries", len(r.ids))
				}
				left := stamped(at.files(t))
				const done = "局/done/宗地.shp/"
				if len(left) != 4 || left[done+"宗地.shp"] != "shp" || left[done+"宗地.dbf"] != "dbf" || left[done+receiptName] == "" {
					t.Errorf("left %q", names(left))
				}
			})
		}
	}
}

// once does what a watcher does with what is complete, and returns the first error.
func once(t *testing.T, box Box, r *receiver, config Config) error {
	t.Helper()
	config.Lease = time.Hour // no sign of life beside the requests that are counted
	w := watcher{box: box, receive: r.receive, config: config.withDefaults(), failures: make(map[string]failure)}
	parcels, err := box.Scan(t.Context())
	for _, p := range parcels {
		err = errors.Join(err, w.handle(t.Context(), p))
	}
	return err
}

func TestServiceWithoutConditions(t *testing.T) {
	t.Parallel()
	at := newS3Place(t, func(r *http.Request) {
		r.Header.Del("If-Match")
		r.Header.Del("If-None-Match")
	})
	at.put(t, "a/x.zip", "zip")
	at.put(t, "a/x.zip.ok", "")
	box := at.open(t, quick(t))
	found, err := box.Scan(t.Context())
	must(t, err)
	_, err = box.Claim(t.Context(), &found[0])
	wantCode(t, err, "dropbox-conditional")
}

// TestOldObjects: what has been there for longer than clocks may be wrong is
// complete at the first look.
func TestOldObjects(t *testing.T) {
	t.Parallel()
	at := newS3Place(t, nil)
	at.put(t, "a/x.zip", "zip")
	config := Config{Settle: time.Hour}
	box := NewS3(at.bucket(t, nil), config)
	g := group{name: "x.zip", entries: []entry{{raw: "x.zip", name: "x.zip"}}}
	for age, want := range map[time.Duration]bool{time.Hour: false, time.Hour + clockError + time.Second: true} {
		if got := box.config.complete(g, box.stillness(0, time.Now().Add(-age))); got != want {
			t.Errorf("after %s: %t", age, got)
		}
	}
}

// TestReplacedWhileCopied: an object that the sender replaces between the copy and
// the deletion is not deleted.
func TestReplacedWhileCopied(t *testing.T) {
	t.Parallel()
	var at s3Place
	copied, replaced := false, false
	at = newS3Place(t, func(r *http.Request) {
		copied = copied || r.Header.Get("X-Amz-Copy-Source") != ""
		if copied && !replaced && r.Method == http.MethodHead {
			replaced = true
			at.put(t, "a/x.zip", "other")
		}
	})
	at.put(t, "a/x.zip", "first")
	at.put(t, "a/x.zip.ok", "")
	r := &receiver{}
	must(t, once(t, at.open(t, quick(t)), r, quick(t)))
	if left := at.files(t); left["a/x.zip"] != "other" || r.count() != 1 {
		t.Errorf("left %q", names(left))
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	at := s3Place{url: "127.0.0.1:1", prefix: "x/"}
	if _, err := at.open(t, Config{}).Scan(t.Context()); err == nil {
		t.Error("scanned")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := Watch(ctx, at.open(t, quick(t)), nil, nil, quick(t)); err != nil {
		t.Errorf("Watch: %v", err)
	}
}
