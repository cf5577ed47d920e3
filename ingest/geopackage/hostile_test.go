package geopackage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/ncruces/go-sqlite3"

	"changde/ingest/layer"
	"changde/problem"
)

func code(t testing.TB, err error) string {
	t.Helper()
	p, ok := errors.AsType[*problem.Error](err)
	if !ok {
		t.Fatalf("not a problem: %v", err)
	}
	if p.ZH == "" || p.EN == "" || !strings.Contains(p.Where, ".gpkg") {
		t.Errorf("incomplete: %+v", p)
	}
	return p.Code
}

func TestSchemasRefused(t *testing.T) {
	t.Parallel()
	contents := func(n int) string {
		return fmt.Sprintf(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
			INSERT INTO gpkg_contents (table_name, data_type) SELECT 'x' || i, 'features' FROM n;
			INSERT INTO gpkg_geometry_columns SELECT table_name, 'geom', 'POINT', 0, 0, 0 FROM gpkg_contents WHERE table_name LIKE 'x%%';`, n)
	}
	var wide strings.Builder
	for i := range maxColumns {
		fmt.Fprintf(&wide, ", c%d", i)
	}
	for name, c := range map[string]struct{ sql, code string }{
		"many layers":        {contents(maxLayers), "geopackage-layers"},
		"many columns":       {`CREATE TABLE wide (geom` + wide.String() + `, last); UPDATE gpkg_contents SET table_name = 'wide'; UPDATE gpkg_geometry_columns SET table_name = 'wide'`, "geopackage-columns"},
		"registered twice":   {`DROP TABLE gpkg_contents; CREATE TABLE gpkg_contents (table_name, identifier, data_type, min_x, min_y, max_x, max_y, srs_id); INSERT INTO gpkg_contents (table_name, data_type) VALUES ('图层', 'features'), ('图层', 'features')`, "geopackage-geometry-column"},
		"no columns":         {`DROP TABLE gpkg_contents; CREATE TABLE gpkg_contents (table_name)`, "geopackage-sql"},
		"view of nothing":    {`CREATE VIEW v AS SELECT * FROM nowhere; UPDATE gpkg_contents SET table_name = 'v'; UPDATE gpkg_geometry_columns SET table_name = 'v'`, "geopackage-sql"},
		"view of a function": {`CREATE VIEW v AS SELECT load_extension('x') AS geom; UPDATE gpkg_contents SET table_name = 'v'; UPDATE gpkg_geometry_columns SET table_name = 'v'`, "geopackage-sql"},
		"injection":          {`UPDATE gpkg_contents SET table_name = 'x" ; DROP TABLE "图层'; UPDATE gpkg_geometry_columns SET table_name = 'x" ; DROP TABLE "图层'`, "geopackage-table-missing"},
		"injected column":    {`UPDATE gpkg_geometry_columns SET column_name = 'geom" FROM sqlite_schema --'`, "geopackage-geometry-column"},
		"NUL in a name":      {`UPDATE gpkg_contents SET table_name = '图层' || char(0); UPDATE gpkg_geometry_columns SET table_name = '图层' || char(0), column_name = 'nowhere'`, "geopackage-geometry-column"},
		"SpatiaLite":         {`DROP TABLE gpkg_contents; CREATE TABLE geometry_columns (a)`, "geopackage-spatialite"},
		"tiles only":         {`UPDATE gpkg_contents SET data_type = 'tiles'`, "geopackage-empty"},
	} {
		_, err := Inspect(t.Context(), change(t, c.sql))
		if err == nil {
			t.Errorf("%s: no error", name)
		} else if got := code(t, err); got != c.code {
			t.Errorf("%s: got %v, want %s", name, err, c.code)
		}
	}
}

func TestInUse(t *testing.T) {
	t.Parallel()
	path, _ := write(t)
	db, err := sqlite3.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Exec(`PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; UPDATE "图层" SET area = 1`); err != nil {
		t.Fatal(err)
	}
	if _, err := Inspect(t.Context(), path); err == nil || code(t, err) != "geopackage-in-use" {
		t.Errorf("with a write-ahead log: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	// The header still says WAL, and nothing is beside the file: it is whole.
	head, err := os.ReadFile(path)
	if err != nil || head[18] != 2 {
		t.Fatal(err, head[18])
	}
	if layers, err := Inspect(t.Context(), path); err != nil || layers[0].Features != 8 {
		t.Errorf("closed: %v %v", layers, err)
	}
	if left, _ := filepath.Glob(path + "-*"); left != nil {
		t.Errorf("reading made %v", left)
	}
	if err := os.WriteFile(path+"-journal", []byte("\xd9\xd5\x05\xf9\x20\xa1\x63\xd7 and so on"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, "图层"); err == nil || code(t, err) != "geopackage-in-use" {
		t.Errorf("with a hot journal: %v", err)
	}
	if err := os.WriteFile(path+"-journal", make([]byte, 512), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Inspect(t.Context(), path); err != nil {
		t.Errorf("with a journal that is done: %v", err)
	}
}

func TestNotDatabases(t *testing.T) {
	t.Parallel()
	noise := make([]byte, 8192)
	r := rand.NewChaCha8([32]byte{1})
	r.Read(noise)
	path, _ := write(t)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		data []byte
		code string
	}{
		"encrypted":             {noise, "geopackage-not-sqlite"},
		"encrypted behind mark": {append([]byte(magic), noise...), "geopackage-not-sqlite"},
		"a page cut off":        {good[:len(good)-1], "geopackage-truncated"},
		"schema overwritten":    {append(append([]byte{}, good[:100]...), noise[:len(noise)/2-100]...), "geopackage-truncated"},
		"pages overwritten":     {append(append([]byte{}, good[:4096]...), bytes.Repeat(noise[:4096], len(good)/4096-1)...), "geopackage-corrupt"},
	} {
		path := filepath.Join(t.TempDir(), "x.gpkg")
		if err := os.WriteFile(path, c.data, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Inspect(t.Context(), path); err == nil {
			t.Errorf("%s: no error", name)
		} else if got := code(t, err); got != c.code {
			t.Errorf("%s: got %v, want %s", name, err, c.code)
		}
	}
	if _, err := Inspect(t.Context(), filepath.Join(t.TempDir(), "none.gpkg")); code(t, err) != "file-unreadable" {
		t.Error(err)
	}
	if _, err := Open(path, "其他"); code(t, err) != "layer-unknown" {
		t.Error(err)
	}
}

const endless = `CREATE VIEW v AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS fid, NULL AS geom FROM n WHERE i < 0;
	UPDATE gpkg_contents SET table_name = 'v'; UPDATE gpkg_geometry_columns SET table_name = 'v'`

func TestEndlessViewStopsWithContext(t *testing.T) {
	t.Parallel()
	path := change(t, endless)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := Inspect(ctx, path); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

func TestEndlessViewEndsPatience(t *testing.T) {
	t.Parallel()
	r, err := Open(change(t, endless), "v")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	r.d.clock.patience = 100 * time.Millisecond
	if _, err := r.Next(); err == nil || code(t, err) != "geopackage-time" {
		t.Error(err)
	}
	if _, err := r.Next(); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("after an error: %v", err)
	}
}

// A view that wants more memory than a connection may have is a problem, not a panic.
func TestGreedyView(t *testing.T) {
	t.Parallel()
	r, err := Open(change(t, `CREATE VIEW v AS WITH RECURSIVE n(i, s) AS (SELECT 1, zeroblob(1000000) UNION ALL SELECT i + 1, s || i FROM n WHERE i < 1000)
		SELECT i AS fid, NULL AS geom, s FROM n ORDER BY s;
		UPDATE gpkg_contents SET table_name = 'v'; UPDATE gpkg_geometry_columns SET table_name = 'v'`), "v")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := r.Next(); err == nil || code(t, err) != "geopackage-memory" {
		t.Error(err)
	}
}

func TestLargeCell(t *testing.T) {
	t.Parallel()
	path := change(t, fmt.Sprintf(`UPDATE "图层" SET geom = zeroblob(%d) WHERE fid = 2`, maxCell+1))
	r, err := Open(path, "图层")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := r.Next(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Next(); err == nil || code(t, err) != "geopackage-cell-size" {
		t.Error(err)
	}
}

// What other programs write, and the standard allows.
func TestUnusualLayers(t *testing.T) {
	t.Parallel()
	path := change(t, `
		CREATE TABLE "a""b; --" (ID INTEGER PRIMARY KEY, "地块" TEXT(8), "SHAPE" POINT, photo BLOB, other POLYGON, "fid" INTEGER, j JSON, q NUMERIC(12, 2));
		INSERT INTO "a""b; --" VALUES (7, '一', NULL, x'00', NULL, 3, '{}', 1.5), (9, '二', x'4750000101000000`+`0101000000000000000000F03F0000000000000040', NULL, NULL, 4, NULL, 12345678901);
		INSERT INTO gpkg_spatial_ref_sys VALUES ('CGCS2000 / GK 111E', 1, 'epsg', 4546, 'PROJCS["x"]', NULL);
		INSERT INTO gpkg_contents (table_name, data_type, identifier, srs_id, min_x) VALUES ('A"B; --', 'features', '标题', 4490, 1);
		INSERT INTO gpkg_geometry_columns VALUES ('A"B; --', 'shape', 'Point', 1, 2, 0);
		CREATE VIEW v AS SELECT "ID" AS fid, "地块" || '号' AS n, "SHAPE" AS geom, "ID" * 2 AS twice FROM "a""b; --";
		INSERT INTO gpkg_contents (table_name, data_type, srs_id) VALUES ('v', 'features', -1);
		INSERT INTO gpkg_geometry_columns VALUES ('v', 'geom', 'POINT', -1, 0, 0);
		INSERT INTO gpkg_contents (table_name, data_type, identifier) VALUES ('属性', 'attributes', 'a')`)
	layers, err := Inspect(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, l := range layers {
		s := fmt.Sprintf("%s|%s|%d|%s|%s|%s %s z=%v|%d rows|%v|%v|", l.Name, l.Identifier, l.EPSG, l.SRSName, l.WKT, l.GeometryColumn, l.GeometryType, l.HasZ, l.Features, l.Box, l.FirstPoints)
		for _, f := range l.Fields {
			s += " " + f.Name + ":" + f.Type.String()
		}
		for _, n := range l.Notes {
			s += " " + n.Code + "(" + n.Field + ")"
		}
		got = append(got, s)
	}
	want := []string{
		`A"B; --|标题|4546|CGCS2000 / GK 111E|PROJCS["x"]|SHAPE POINT z=false|2 rows|<nil>|[[1 2]]| ID:integer 地块:text fid:integer j:text q:decimal srs-disagree() column-skipped(photo) column-skipped(other)`,
		`v||0|Undefined Cartesian SRS||geom POINT z=false|2 rows|<nil>|[]| n:text twice:text`,
	}
	if diff := cmp.Diff(want, got[1:]); diff != "" {
		t.Error(diff)
	}
	fields, rows := read(t, path, `a"b; --`)
	if diff := cmp.Diff([]layer.Field{
		{Name: "ID", Type: layer.Integer},
		{Name: "地块", Type: layer.Text, Width: 8},
		{Name: "fid", Type: layer.Integer},
		{Name: "j", Type: layer.Text},
		{Name: "q", Type: layer.Decimal, Width: 12, Decimals: 2},
	}, fields); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]any{int64(9), "二", int64(4), nil, "12345678901"}, rows[1].Values); diff != "" || rows[1].Geom == nil {
		t.Error(diff, rows[1].Geom)
	}
	if diff := cmp.Diff([]any{int64(7), "一", int64(3), "{}", "1.5"}, rows[0].Values); diff != "" {
		t.Error(diff)
	}
	if _, rows := read(t, path, "v"); rows[0].Values[0] != "一号" || rows[0].Values[1] != "14" || rows[1].Faults[0].Code != "srs-mixed" {
		t.Errorf("%v %v", rows[0].Values, rows[1].Faults)
	}
}

// FuzzFile changes bytes of a whole database: whatever is damaged, there is no panic and
// no error but a problem.
func FuzzFile(f *testing.F) {
	path, _ := write(f)
	good, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(uint32(100), []byte{0xff}, uint32(4096), []byte{0})
	f.Add(uint32(0), []byte{}, uint32(20480), []byte{1, 2, 3, 4, 5, 6, 7, 8})
	f.Fuzz(func(t *testing.T, at uint32, a []byte, bt uint32, b []byte) {
		data := bytes.Clone(good)
		copy(data[int(at)%len(data):], a)
		copy(data[int(bt)%len(data):], b)
		path := filepath.Join(t.TempDir(), "x.gpkg")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		layers, err := Inspect(ctx, path)
		if err != nil {
			code(t, err)
			return
		}
		for _, l := range layers {
			r, err := Open(path, l.Name)
			if err != nil {
				code(t, err)
				continue
			}
			for range 1000 {
				if _, err := r.Next(); err == io.EOF {
					break
				} else if err != nil {
					code(t, err)
					break
				}
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
		}
	})
}
