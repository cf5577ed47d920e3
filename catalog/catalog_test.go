package catalog_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"changde/catalog"
	"changde/ingest/layer"
	"changde/postgis/postgistest"
	"changde/problem"
)

func TestMain(m *testing.M) { postgistest.Main(m) }

// reader may read what it lists, by owner and sharing.
type reader map[[2]string]bool

func (r reader) MayRead(owner, sharing string) bool { return r[[2]string{owner, sharing}] }

func TestViewHidesAsIfAbsent(t *testing.T) {
	t.Parallel()
	released := &catalog.Release{Number: 2, Sharing: catalog.Public}
	before := &catalog.Release{Number: 1, Sharing: catalog.Private}
	land := &catalog.Organisation{ID: "land"}
	s := catalog.NewSnapshot([]*catalog.Dataset{
		{ID: "roads", Sharing: catalog.Public, Current: released, Releases: []*catalog.Release{before, released}},
		{ID: "reverted", Sharing: catalog.Public, Current: before, Releases: []*catalog.Release{before, released}},
		{ID: "plots", Sharing: catalog.Private, Owner: land, Current: released},
		{ID: "draft", Sharing: catalog.Public},
	})
	everyone := s.For(reader{{"", "public"}: true})
	owner := s.For(reader{{"", "public"}: true, {"land", "private"}: true, {"land", "public"}: true})
	ids := func(v catalog.View) (out []string) {
		for _, d := range v.Datasets() {
			out = append(out, d.ID)
		}
		return out
	}
	if diff := cmp.Diff([]string{"roads"}, ids(everyone)); diff != "" {
		t.Errorf("everyone (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"plots", "roads"}, ids(owner)); diff != "" {
		t.Errorf("the owner (-want +got):\n%s", diff)
	}
	if d, _ := everyone.Dataset("roads"); len(d.Releases) != 1 || d.Releases[0].Number != 2 {
		t.Errorf("everyone sees the releases %v, want the public one alone", d.Releases)
	}
	for _, id := range []string{"plots", "draft", "reverted", "nothing", ""} {
		if _, ok := everyone.Dataset(id); ok {
			t.Errorf("everyone reaches %q", id)
		}
	}
	for _, v := range []catalog.View{{}, s.For(nil)} {
		if _, ok := v.Dataset("roads"); ok || len(v.Datasets()) > 0 {
			t.Error("a view without a reader sees something")
		}
	}
}

func TestColumnsRoundTrip(t *testing.T) {
	t.Parallel()
	want := []catalog.Column{{Name: `"; drop table`, Alias: "别名", Type: layer.Decimal}, {Name: "地类", Type: layer.Timestamp}}
	b, err := catalog.EncodeColumns(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := catalog.DecodeColumns(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, bad := range []string{`{`, `[{"name":"a","type":"colour"}]`} {
		if _, err := catalog.DecodeColumns([]byte(bad)); err == nil {
			t.Errorf("%s is read", bad)
		}
	}
}

func TestParseCity(t *testing.T) {
	t.Parallel()
	for text, code := range map[string]string{
		`x`:                 "city-unreadable",
		`{"colour":"blue"}`: "city-unreadable",
		`{"nameZh":"常德市"}`:  "city-incomplete",
		`{"nameZh":"常德市","box":[112,28,110,30],"view":[110,28,112,30],"crs":[4546]}`: "city-incomplete",
		`{"nameZh":"常德市","box":[110,28,112,30],"view":[110,28,112,30],"crs":[]}`:     "city-incomplete",
	} {
		_, err := catalog.ParseCity([]byte(text))
		var p *problem.Error
		if !errors.As(err, &p) || p.Code != code {
			t.Errorf("%s: got %v, want %s", text, err, code)
		}
	}
	if _, err := catalog.ParseCity([]byte(`{"nameZh":"常德市","box":[110,28,112,30],"view":[111,28.5,112,30],"crs":[4546]}`)); err != nil {
		t.Error(err)
	}
}

// A catalog that cannot be read any more says so.
func TestStale(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	c, err := catalog.Open(t.Context(), pool, catalog.Config{Refresh: time.Millisecond, MaxAge: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if c.Stale() {
		t.Error("a catalog just read is stale")
	}
	time.Sleep(100 * time.Millisecond)
	if !c.Stale() {
		t.Error("a catalog not read for long is not stale")
	}
	if err := c.Reload(t.Context()); err != nil || c.Stale() {
		t.Errorf("read again it is stale, %v", err)
	}
}

// A server hears of a change by the notification that is part of it, and finds
// one whose notification was lost at its next refresh.
func TestWatchFollowsChanges(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	c, err := catalog.Open(t.Context(), pool, catalog.Config{Refresh: 300 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Watch(t.Context()) }()
	all := reader{{"", "public"}: true, {"", "internal"}: true}
	sharing := func() catalog.Sharing {
		d, ok := c.Snapshot().For(all).Dataset("assets")
		if !ok {
			return ""
		}
		return d.Sharing
	}
	waitFor := func(want catalog.Sharing) {
		t.Helper()
		for range 200 {
			if sharing() == want {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
		t.Fatalf("assets are %q, want %q", sharing(), want)
	}
	waitFor(catalog.Internal)
	if _, err := pool.Exec(t.Context(), "UPDATE changde.datasets SET sharing = 'public' WHERE id = 'assets'"); err != nil {
		t.Fatal(err)
	}
	waitFor(catalog.Public)
	if _, err := pool.Exec(t.Context(), `WITH told AS (SELECT pg_notify('changde_catalog', 'assets')) UPDATE changde.datasets SET sharing = 'internal' FROM told WHERE id = 'assets'`); err != nil {
		t.Fatal(err)
	}
	waitFor(catalog.Internal)
	select {
	case err := <-ended:
		t.Errorf("the watch ended: %v", err)
	default:
	}
}
