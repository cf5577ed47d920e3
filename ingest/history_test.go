package ingest_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"changde/catalog"
	"changde/ingest"
	"changde/postgis"
	"changde/problem"
)

// plot is a feature of the tests: what it is called and where it lies.
type plot struct {
	name string
	x    int
}

// plots writes a GeoJSON of points with the business key k; op, when given, adds
// the change flag.
func plots(t testing.TB, rows map[int]plot, op map[int]string) string {
	var features []string
	for _, k := range slices.Sorted(maps.Keys(rows)) {
		flag := ""
		if op != nil {
			flag = fmt.Sprintf(`,"变更类型":%q`, op[k])
		}
		features = append(features, fmt.Sprintf(`{"type":"Feature","properties":{"k":"K%d","name":%q%s},"geometry":{"type":"Point","coordinates":[%.4f,29.0]}}`,
			k, rows[k].name, flag, 111.5+float64(rows[k].x)*0.001))
	}
	return file(t, "plots.geojson", `{"type":"FeatureCollection","features":[`+strings.Join(features, ",")+`]}`)
}

// asOf reads the rows of each release through the catalog, as every reader does.
func (b bundle) asOf(dataset string) map[int]map[int]plot {
	b.Helper()
	known, err := catalog.Open(b.Context(), b.pool, catalog.Config{})
	if err != nil {
		b.Fatal(err)
	}
	d, ok := known.Snapshot().For(everything{}).Dataset(dataset)
	if !ok {
		b.Fatalf("no dataset %s", dataset)
	}
	out := make(map[int]map[int]plot)
	read := func(r *catalog.Release) map[int]plot {
		q := r.From(new(postgis.SQL).Raw("SELECT substr(k, 2)::int, name, round((ST_X(geom) - 111.5) * 1000)::int"))
		rows, err := b.pool.Query(b.Context(), q.String())
		if err != nil {
			b.Fatal(err)
		}
		got := make(map[int]plot)
		var k int
		var p plot
		if _, err := pgx.ForEachRow(rows, []any{&k, &p.name, &p.x}, func() error {
			if _, twice := got[k]; twice {
				b.Errorf("release %d has K%d twice", r.Number, k)
			}
			got[k] = p
			return nil
		}); err != nil {
			b.Fatal(err)
		}
		if int64(len(got)) != r.Rows {
			b.Errorf("release %d has %d rows and says %d", r.Number, len(got), r.Rows)
		}
		return got
	}
	for _, r := range d.Releases {
		out[r.Number] = read(r)
	}
	if diff := cmp.Diff(out[d.Current.Number], read(d.Current), cmp.AllowUnexported(plot{})); diff != "" {
		b.Errorf("the current state is not its release (-release +current):\n%s", diff)
	}
	return out
}

type everything struct{}

func (everything) MayRead(string, string) bool { return true }

// Whatever is delivered and rolled back, every release can be read as it was, and
// differences say what changed. The model is a map.
func TestEveryReleaseStaysReadable(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.Ingester = ingest.New(b.pool, ingest.Config{City: changde, TempDir: t.TempDir()})
			random := rand.New(rand.NewPCG(seed, 7))
			now := make(map[int]plot)
			for k := range 40 {
				now[k] = plot{fmt.Sprint("地块", k), k}
			}
			want := make(map[int]map[int]plot)
			settings := ingest.Settings{BusinessKey: "k", Label: "name", Sharing: catalog.Public}
			next := 100
			for release := 1; release <= 12; release++ {
				before := maps.Clone(now)
				ops := make(map[int]string)
				mutate := func() {
					for range 1 + random.IntN(6) {
						keys := slices.Sorted(maps.Keys(now))
						k := keys[random.IntN(len(keys))]
						if ops[k] != "" {
							continue
						}
						switch random.IntN(4) {
						case 0:
							delete(now, k)
							ops[k] = "删"
						case 1:
							now[k] = plot{now[k].name + "改", now[k].x}
							ops[k] = "U"
						case 2:
							now[k] = plot{now[k].name, now[k].x + 1}
							ops[k] = "变更"
						default:
							now[next] = plot{"新", next % 50}
							ops[next] = "I"
							next++
						}
					}
				}
				request := ingest.Request{Dataset: "p", Settings: settings}
				switch kind := random.IntN(5); {
				case release == 1 || kind == 0:
					mutate()
					request.Files = []string{plots(t, now, nil)}
				case kind == 1:
					mutate()
					rows := make(map[int]plot)
					for k := range ops {
						rows[k] = now[k]
						if ops[k] == "删" {
							rows[k] = before[k]
						}
					}
					request.Files, request.Mode, request.Settings = []string{plots(t, rows, ops)}, ingest.Changes, ingest.Settings{}
				case kind == 2:
					rows := map[int]plot{next: {"追加", 3}}
					now[next] = rows[next]
					next++
					request.Files, request.Mode, request.Settings = []string{plots(t, rows, nil)}, ingest.Append, ingest.Settings{}
				case kind == 3 && len(ops) == 0:
					// Everything else: the table is written anew.
					for k := range now {
						now[k] = plot{now[k].name + "全", now[k].x}
					}
					request.Files = []string{plots(t, now, nil)}
				default:
					to := 1 + random.IntN(release-1)
					if _, err := b.Rollback(t.Context(), "p", to, ingest.Decider{}); err != nil {
						t.Fatalf("roll back to %d: %v", to, err)
					}
					now = maps.Clone(want[to])
				}
				if request.Files != nil {
					report := b.deliver(request)
					if report.Refused != 0 || report.Release != release {
						t.Fatalf("release %d: %+v", release, report)
					}
					if release > 1 {
						checkDifference(t, report.Difference, before, now)
					}
				}
				want[release] = maps.Clone(now)
				if diff := cmp.Diff(want, b.asOf("p"), cmp.AllowUnexported(plot{})); diff != "" {
					t.Fatalf("after release %d (-want +got):\n%s", release, diff)
				}
			}
		})
	}
}

func checkDifference(t *testing.T, d *ingest.Difference, before, after map[int]plot) {
	t.Helper()
	var added, removed, changed, moved int64
	for k, p := range after {
		switch old, ok := before[k]; {
		case !ok:
			added++
		case old != p:
			changed++
			if old.x != p.x {
				moved++
			}
		}
	}
	for k := range before {
		if _, ok := after[k]; !ok {
			removed++
		}
	}
	want := [5]int64{added, removed, changed, moved, int64(len(before)) - removed - changed}
	if got := [5]int64{d.Added, d.Removed, d.Changed, d.Moved, d.Unchanged}; got != want || d.After.Rows != int64(len(after)) {
		t.Errorf("difference added, removed, changed, moved, unchanged %v, want %v; rows %d, want %d", got, want, d.After.Rows, len(after))
	}
}

// A full delivery in which little changed writes only that: storage grows with
// what changed, and a feature keeps its fid.
func TestFullDeliveryWritesWhatChanged(t *testing.T) {
	t.Parallel()
	b := setup(t)
	rows := make(map[int]plot)
	for k := range 100 {
		rows[k] = plot{fmt.Sprint("地块", k), k % 50}
	}
	b.deliver(ingest.Request{Files: []string{plots(t, rows, nil)}, Dataset: "p", Settings: ingest.Settings{BusinessKey: "k", Class: "name"}})
	fid := b.rows(`SELECT fid FROM data.p WHERE k = 'K70'`)
	delete(rows, 3)
	rows[70] = plot{"改名", 21}
	rows[200] = plot{"新", 5}
	report := b.deliver(ingest.Request{Files: []string{plots(t, rows, nil)}, Dataset: "p"})
	d := report.Difference
	if !d.InPlace || d.Added != 1 || d.Removed != 1 || d.Changed != 1 || d.Moved != 1 {
		t.Errorf("difference %+v", d)
	}
	if diff := cmp.Diff([]ingest.FieldChange{{Field: "name", Rows: 1}}, d.Fields); diff != "" {
		t.Errorf("changed fields (-want +got):\n%s", diff)
	}
	if want := "与第 1 版相比：新增 1，删除 1，变更 1（其中图形 1），未变 98；行数 100 → 100"; d.ZH != want {
		t.Errorf("summary %q, want %q", d.ZH, want)
	}
	if got := b.rows(`SELECT fid FROM data.p WHERE k = 'K70'`); got != fid {
		t.Errorf("the changed feature has fid %s, had %s", got, fid)
	}
	if got := b.rows(`SELECT count(*) FROM content.p_d1_h`); got != "2" {
		t.Errorf("%s rows are history, want 2", got)
	}
	got := b.rows(`SELECT kind, key, label IS NULL, fields, moved FROM difference.d2 ORDER BY kind`)
	if want := "added K200 true <nil> false\nchanged K70 true name true\nremoved K3 true <nil> false"; got != want {
		t.Errorf("the listed difference is\n%s\nwant\n%s", got, want)
	}
	if got := b.rows(`SELECT count(*) FROM pg_tables WHERE schemaname = 'content'`); got != "3" {
		t.Errorf("%s content tables, want one with its history and changes", got)
	}
}

// Rows of a differential delivery that contradict the current release are
// refused one by one, the others go in.
func TestContradictingChanges(t *testing.T) {
	t.Parallel()
	b := setup(t)
	rows := map[int]plot{}
	for k := range 20 {
		rows[k] = plot{"地块", k}
	}
	b.deliver(ingest.Request{Files: []string{plots(t, rows, nil)}, Dataset: "p", Settings: ingest.Settings{BusinessKey: "k"}})
	changes := map[int]plot{1: {"有", 1}, 50: {"无", 1}, 51: {"无", 1}, 2: {"改", 2}, 3: {"?", 3}}
	ops := map[int]string{1: "I", 50: "U", 51: "D", 2: "U", 3: "x"}
	report := b.deliver(ingest.Request{Files: []string{plots(t, changes, ops)}, Dataset: "p", Mode: ingest.Changes})
	got := b.rows(`SELECT row_number, code, action, rule FROM changde.findings WHERE delivery = $1 ORDER BY n`, report.Delivery)
	want := "1 insert-present refused Q12\n3 change-flag refused Q12\n4 update-missing refused Q12\n5 delete-missing refused Q12"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
	if got := b.rows(`SELECT name FROM data.p WHERE k = 'K2'`); got != "改" || report.Difference.Changed != 1 {
		t.Errorf("the row that fits is %q, %d changed", got, report.Difference.Changed)
	}
	// Nothing that fits is nothing to publish.
	if _, err := b.try(ingest.Request{Files: []string{plots(t, map[int]plot{1: {"有", 1}}, map[int]string{1: "I"})}, Dataset: "p", Mode: ingest.Changes}); !problem.Is(err, problem.Invalid) {
		t.Errorf("changes of which none fits: %v", err)
	}
	if _, err := b.try(ingest.Request{Files: []string{plots(t, rows, nil)}, Dataset: "p", Mode: ingest.Changes}); err == nil || !strings.Contains(err.Error(), "--change-field") {
		t.Errorf("changes without a flag: %v", err)
	}
	if _, err := b.try(ingest.Request{Files: []string{plots(t, rows, nil)}, Dataset: "new", Mode: ingest.Append}); !problem.Is(err, problem.Conflict) {
		t.Errorf("appending to nothing: %v", err)
	}
}

// Revisions know who changed what by which document, at times that always grow.
func TestRevisionsAreDated(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deliver(ingest.Request{Files: []string{points(t, 3)}, Dataset: "p", Actor: "k1", Document: "常国土〔2012〕5号"})
	// The clock was ahead by an hour when the first release was made.
	if _, err := b.pool.Exec(t.Context(), `UPDATE changde.revisions SET committed_at = committed_at + interval '1 hour'`); err != nil {
		t.Fatal(err)
	}
	b.deliver(ingest.Request{Files: []string{points(t, 4)}, Dataset: "p"})
	if got := b.rows(`SELECT kind, actor, document, committed_at > lag(committed_at, 1, '-infinity') OVER (ORDER BY revision) FROM changde.revisions ORDER BY revision`); got != "release k1 常国土〔2012〕5号 true\nrelease   true" {
		t.Errorf("revisions are\n%s", got)
	}
	known, err := catalog.Open(t.Context(), b.pool, catalog.Config{})
	if err != nil {
		t.Fatal(err)
	}
	d, _ := known.Snapshot().For(everything{}).Dataset("p")
	for offset, want := range map[time.Duration]int{time.Minute: 0, time.Hour + time.Minute: 2} {
		r, ok, err := catalog.AsOf(t.Context(), b.pool, d, time.Now().Add(offset))
		if err != nil || ok != (want > 0) || ok && r.Number != want {
			t.Errorf("as of %v from now: %v %v %v, want release %d", offset, r, ok, err, want)
		}
	}
}

// Fields may have the names that contents use themselves.
func TestFieldsNamedAsOurs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	row := func(hash string) string {
		return `{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"fid":7,"hash":"` + hash + `","until":"u","rev":"r","span":"s","a":"a","b":"b","kind":"k","key":"x","op":"o","geom":"g","moved":true},"geometry":{"type":"Point","coordinates":[111.5,29]}}]}`
	}
	for _, hash := range []string{"one", "two"} {
		b.deliver(ingest.Request{Files: []string{file(t, "p.geojson", row(hash))}, Dataset: "p", Settings: ingest.Settings{BusinessKey: "key", Label: "kind", Class: "a"}})
	}
	if got := b.rows(`SELECT hash_, until_, rev_, span_, a, b, kind, key, op_, geom_, moved, fid_ FROM data.p`); got != "two u r s a b k x o g true 7" {
		t.Errorf("the row is %q", got)
	}
}
