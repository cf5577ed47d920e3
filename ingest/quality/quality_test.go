package quality_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"changde/catalog"
	"changde/ingest/finding"
	"changde/ingest/layer"
	"changde/ingest/profile"
	"changde/ingest/quality"
	"changde/postgis"
	"changde/postgis/postgistest"
)

var update = flag.Bool("update", false, "write the golden findings")

func TestMain(m *testing.M) { postgistest.Main(m) }

// The fixtures are drawn in metres east and north of this place.
const originLon, originLat = 111.7, 29.0

// Metres of a degree there, by the formulas of the ellipsoid of CGCS2000.
const metreLon, metreLat = 97_438.439, 110_835.773

// fixture is one file of testdata. It has lines "key: value", and sections of
// rows, "values | WKT", one for each table: rows, parent, before, current. A line that
// starts with # is for the reader.
type fixture struct {
	path     string
	profile  profile.Profile
	columns  []catalog.Column
	parent   []catalog.Column
	tables   map[string][]string
	seeded   []string // "row code", as the writer of the file means it
	metadata map[string]string
	files    []string // of each row, when there are several
	golden   string
	head     string
}

func readFixture(t *testing.T, path string) fixture {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f := fixture{path: path, tables: map[string][]string{}}
	f.head, f.golden, _ = strings.Cut(string(b), "\nfindings:\n")
	f.profile.Geometry = "MultiPolygon"
	section := ""
	for n, line := range strings.Split(f.head, "\n") {
		fail := func(err error) {
			if err != nil {
				t.Fatalf("%s:%d: %v", path, n+1, err)
			}
		}
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if key, value, ok := strings.Cut(line, ": "); ok && section == "" {
			switch key {
			case "geometry":
				f.profile.Geometry = value
			case "rule":
				words := strings.SplitN(value, " ", 3)
				r := profile.Rule{Code: words[0]}
				if len(words) > 1 && words[1] != "-" {
					r.Check = words[1]
				}
				if len(words) > 2 {
					r.Params = json.RawMessage(words[2])
				}
				f.profile.Rules = append(f.profile.Rules, r)
			case "columns", "parent-columns":
				for _, c := range strings.Fields(value) {
					name, kind, _ := strings.Cut(c, "=")
					typ, ok := layer.ParseType(kind)
					if !ok {
						t.Fatalf("%s:%d: type %q", path, n+1, kind)
					}
					if key == "columns" {
						f.columns = append(f.columns, catalog.Column{Name: name, Type: typ})
					} else {
						f.parent = append(f.parent, catalog.Column{Name: name, Type: typ})
					}
				}
			case "field":
				var p profile.Field
				fail(json.Unmarshal([]byte(value), &p))
				f.profile.Fields = append(f.profile.Fields, p)
			case "key":
				f.profile.BusinessKey = value
			case "time":
				f.profile.TimeColumn = value
			case "area":
				f.profile.AreaField = value
			case "seeded":
				f.seeded = strings.Split(value, ", ")
			case "files":
				f.files = strings.Fields(value)
			case "metadata":
				fail(json.Unmarshal([]byte(value), &f.metadata))
			default:
				t.Fatalf("%s:%d: key %q", path, n+1, key)
			}
			continue
		}
		if name, ok := strings.CutSuffix(line, ":"); ok && !strings.Contains(line, "|") {
			section = name
			f.tables[section] = []string{}
			continue
		}
		f.tables[section] = append(f.tables[section], line)
	}
	return f
}

// create makes a table of a fixture. The geometry of a row is WKT in metres.
func create(t testing.TB, tx pgx.Tx, name string, columns []catalog.Column, rows []string) {
	t.Helper()
	q := new(postgis.SQL).Raw("CREATE TABLE public.").Ident(name).Raw(" (fid bigint")
	for _, c := range columns {
		q.Raw(", ").Ident(c.Name).Raw(" ")
		switch c.Type {
		case layer.Integer:
			q.Raw("bigint")
		case layer.Real:
			q.Raw("float8")
		case layer.Decimal:
			q.Raw("numeric")
		case layer.Date:
			q.Raw("date")
		case layer.Timestamp:
			q.Raw("timestamptz")
		default:
			q.Raw("text")
		}
	}
	q.Raw(", geom geometry(Geometry, 4490)); CREATE INDEX ON public.").Ident(name).Raw(" USING gist (geom)")
	if _, err := tx.Exec(t.Context(), q.String()); err != nil {
		t.Fatal(err)
	}
	for i, row := range rows {
		cells := strings.Split(row, "|")
		if len(cells) != len(columns)+1 {
			t.Fatalf("%s row %d has %d cells for %d columns", name, i+1, len(cells), len(columns)+1)
		}
		q := new(postgis.SQL).Raw("INSERT INTO public.").Ident(name).Raw(" VALUES (").Arg(i + 1).Raw("::bigint")
		for k, c := range columns {
			v := strings.TrimSpace(cells[k])
			q.Raw(", ")
			if v == "NULL" {
				q.Raw("NULL")
				continue
			}
			q.Arg(v).Raw("::text::")
			switch c.Type {
			case layer.Integer:
				q.Raw("bigint")
			case layer.Real:
				q.Raw("float8")
			case layer.Decimal:
				q.Raw("numeric")
			case layer.Date:
				q.Raw("date")
			case layer.Timestamp:
				q.Raw("timestamptz")
			default:
				q.Raw("text")
			}
		}
		if strings.TrimSpace(cells[len(cells)-1]) == "NULL" {
			q.Raw(", NULL)")
		} else {
			q.Raw(", ST_Translate(ST_Scale(ST_GeomFromText(").Arg(strings.TrimSpace(cells[len(cells)-1])).Raw(", 4490), ").
				Arg(1 / metreLon).Raw("::float8, ").Arg(1 / metreLat).Raw("::float8), ").Arg(originLon).Raw("::float8, ").Arg(originLat).Raw("::float8))")
		}
		if _, err := tx.Exec(t.Context(), q.String(), q.Args()...); err != nil {
			t.Fatalf("%s row %d: %v", name, i+1, err)
		}
	}
}

// begin opens a transaction that is rolled back.
func begin(t testing.TB, pool *pgxpool.Pool) pgx.Tx {
	t.Helper()
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) })
	return tx
}

func (f *fixture) check(t *testing.T, tx pgx.Tx) ([]finding.Finding, quality.Summary) {
	t.Helper()
	create(t, tx, "rows", f.columns, f.tables["rows"])
	o := quality.Options{
		Profile: &f.profile, Today: time.Date(2024, 6, 15, 12, 0, 0, 0, time.UTC), TempDir: t.TempDir(), Metadata: f.metadata,
		Codes: func(table string) (map[string]string, bool) {
			return map[string]string{"0101": "水田", "0201": "果园", "0602": "采矿用地", "09": "特殊用地"}, table == "survey"
		},
	}
	if rows, ok := f.tables["parent"]; ok {
		create(t, tx, "parent", f.parent, rows)
		o.Neighbour = func(dataset string) ([2]string, []catalog.Column, bool) {
			return [2]string{"public", "parent"}, f.parent, dataset == "parent"
		}
	}
	if rows, ok := f.tables["current"]; ok {
		create(t, tx, "current", f.columns, rows)
		o.Current = &quality.Current{Relation: [2]string{"public", "current"}, Key: f.profile.BusinessKey}
		if slices.ContainsFunc(f.columns, func(c catalog.Column) bool { return c.Name == "op" }) {
			o.Current.Operation = "op"
		}
	}
	if rows, ok := f.tables["before"]; ok {
		create(t, tx, "before", f.columns, rows)
		o.Before = &quality.Layer{Relation: [2]string{"public", "before"}, Columns: f.columns, Geometry: f.profile.Geometry}
	}
	l := quality.Layer{Relation: [2]string{"public", "rows"}, Columns: f.columns, Geometry: f.profile.Geometry}
	if f.files != nil {
		l.RowOf = func(fid int64) (int64, string) {
			row := int64(0)
			for _, name := range f.files[:fid] {
				if name == f.files[fid-1] {
					row++
				}
			}
			return row, f.files[fid-1]
		}
	}
	var out []finding.Finding
	s, err := quality.Check(t.Context(), tx, l, o, func(g finding.Finding) { out = append(out, g) })
	if err != nil {
		t.Fatal(err)
	}
	return out, s
}

// TestSeededFaults: one small data set for each rule, in which the rule finds the
// rows that were seeded and no other.
func TestSeededFaults(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) < 15 {
		t.Fatalf("%d fixtures, %v", len(files), err)
	}
	for _, path := range files {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			t.Parallel()
			f := readFixture(t, path)
			tx := begin(t, postgistest.New(t))
			found, summary := f.check(t, tx)
			var rows []string
			var golden strings.Builder
			for _, g := range found {
				row := fmt.Sprintf("%d %s", g.Row, g.Code)
				if f.files != nil {
					row = fmt.Sprintf("%s#%d %s", g.File, g.Row, g.Code)
				}
				if g.Field != "" {
					row += " " + g.Field
				}
				rows = append(rows, row)
				fmt.Fprintf(&golden, "%s (%s, %s)", row, g.Rule, g.Severity)
				if g.Place != nil {
					fmt.Fprintf(&golden, " at %.1f %.1f", (g.Place[0]-originLon)*metreLon, (g.Place[1]-originLat)*metreLat)
				}
				fmt.Fprintf(&golden, "\n  %s\n  %s\n", g.ZH, g.EN)
				if g.Action != finding.Noted {
					t.Errorf("%s is %s, want noted", row, g.Action)
				}
			}
			for _, r := range summary.Rules {
				fmt.Fprintf(&golden, "= %s: %d", strings.TrimSpace(r.Code+" "+r.Check), r.Found)
				if r.SkippedZH != "" {
					fmt.Fprintf(&golden, ", skipped: %s / %s", r.SkippedZH, r.SkippedEN)
				}
				if r.NoteZH != "" {
					fmt.Fprintf(&golden, ", %s / %s", r.NoteZH, r.NoteEN)
				}
				golden.WriteString("\n")
			}
			slices.Sort(rows)
			slices.Sort(f.seeded)
			if d := cmp.Diff(f.seeded, rows); d != "" {
				t.Errorf("seeded rows and found ones (-want +got):\n%s\n%s", d, golden.String())
			}
			if *update {
				if err := os.WriteFile(path, []byte(f.head+"\nfindings:\n"+golden.String()), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if d := cmp.Diff(f.golden, golden.String()); d != "" {
				t.Errorf("golden findings (-want +got):\n%s", d)
			}
		})
	}
}
