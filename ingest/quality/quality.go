// Package quality checks the rows of a staged layer against the quality rules of
// its standard (Q05 to Q19; Q01 to Q04 are the loader's) and tells what it finds.
//
// A layer is read once, as binary COPY: whatever can be judged from one row alone
// is judged then. What needs neighbours is written to a spill file in tiles, and
// the tiles are judged one by one on all processors, so that memory does not grow
// with the layer. Only what looks wrong is asked again of PostGIS, whose answer
// is the one reported. docs/formats/quality.md is the rule book.
package quality

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"changde/catalog"
	"changde/ingest/finding"
	"changde/ingest/profile"
)

// Layer is a layer in the database: a staged one, or the content of before.
type Layer struct {
	// Relation is schema and table. The table has fid bigint, unique and positive,
	// the columns of Columns, and geom, a valid geometry in EPSG:4490.
	Relation [2]string
	Columns  []catalog.Column
	Geometry string // OGC type of geom
	Z        bool
	// RowOf gives the row in the file, from 1, and the file of a fid. Nil: the row
	// is the fid, of no file.
	RowOf func(fid int64) (row int64, file string)
}

// Options is what the rules need to know besides the layer. The zero value
// checks nothing, for it has no profile.
type Options struct {
	Profile *profile.Profile
	// Library holds the code tables. Nil: there are none but those of Codes.
	Library *profile.Library
	// Codes finds a code table that the library has not: names by code.
	Codes func(table string) (map[string]string, bool)
	// Neighbour finds the current content of another dataset, with a column geom in
	// EPSG:4490. Nil, or false: the dataset has no release.
	Neighbour func(dataset string) (relation [2]string, columns []catalog.Column, ok bool)
	// Before is the content that the layer replaces, nil for none. Its table need
	// not have fid.
	Before *Layer
	// Current is the content that the layer adds to or changes, nil when the layer
	// stands for itself.
	Current *Current
	// Metadata is the core metadata of the dataset by element (Elements). Nil: Q19
	// is skipped.
	Metadata map[string]string
	// Today is the day against which dates are in the future; its zone counts.
	// Default: the clock.
	Today time.Time
	// MaxFindings of one rule are emitted, the others only counted. Default 10,000.
	MaxFindings int
	// TempDir holds the spill file. Default os.TempDir().
	TempDir string
	// Workers judge tiles at a time. Default GOMAXPROCS, at most 4.
	Workers int

	tileBytes float64 // of a tile; 0 is the constant
}

// Summary is what became of each rule, in the order of the profile.
type Summary struct {
	Rules []RuleSummary
}

// RuleSummary is one rule: how often it found something, how many rows it
// looked at, how long it took (rules that share the reading of the layer share
// its time). A rule that could not be applied says why.
type RuleSummary struct {
	Code      string
	Check     string
	Severity  finding.Severity
	Found     int64
	AtLeast   bool // Found was not counted to the end
	Rows      int64
	Elapsed   time.Duration
	SkippedZH string
	SkippedEN string
	NoteZH    string // a limit that was met
	NoteEN    string
}

// rule is a rule at work.
type rule struct {
	RuleSummary
	spec profile.Rule
	kept int
}

func (r *rule) skip(zh, en string) { r.SkippedZH, r.SkippedEN = zh, en }

// checker is one run of Check. All but the tiles is done by one goroutine.
type checker struct {
	tx     pgx.Tx
	layer  Layer
	o      Options
	emit   func(finding.Finding)
	rules  []*rule
	tol    profile.Tolerance
	rows   int64
	dir    string // of the spill files, made when first asked for
	spills []*spill
	areal  bool // the layer holds polygons, or may
	linear bool
	tiles  *tiles         // the polygons of the layer, when a rule needs them
	pairs  *pairs         // what overlaps in them
	dirty  map[int64]bool // rows that their unions stand for in the tiles; nil before
}

// defaultKept is how many findings of a rule are emitted.
const defaultKept = 10_000

// Check applies the rules of the profile and emits what they find, on the calling
// goroutine: first what is seen in single rows, in the order of the table, then
// what is seen among several, by rule and row. It makes temporary tables that end with the
// transaction, and changes nothing else. A rule it cannot apply is skipped with
// the reason; parameters it cannot understand are a *problem.Error. Any other
// error is the platform's, and leaves the transaction failed.
func Check(ctx context.Context, tx pgx.Tx, l Layer, o Options, emit func(finding.Finding)) (Summary, error) {
	c := &checker{tx: tx, layer: l, o: o, emit: emit}
	if o.Profile == nil {
		return Summary{}, nil
	}
	c.defaults()
	defer c.clean()
	for _, r := range o.Profile.Rules {
		c.rules = append(c.rules, &rule{spec: r, RuleSummary: RuleSummary{
			Code: r.Code, Check: r.Check, Severity: cmp.Or(r.Severity, profile.DefaultSeverity(r.Code)),
		}})
	}
	if o.Current != nil {
		if err := c.besides(ctx); err != nil {
			return Summary{}, err
		}
	}
	err := c.run(ctx)
	var s Summary
	for _, r := range c.rules {
		if r.SkippedZH == "" && r.Rows == 0 {
			r.Rows = c.rows
		}
		s.Rules = append(s.Rules, r.RuleSummary)
	}
	return s, err
}

func (c *checker) defaults() {
	c.tol = c.o.Profile.Tolerance.Filled()
	if c.o.MaxFindings <= 0 {
		c.o.MaxFindings = defaultKept
	}
	if c.o.Workers <= 0 {
		c.o.Workers = min(runtime.GOMAXPROCS(0), 4)
	}
	if c.o.tileBytes == 0 {
		c.o.tileBytes = tileBytes
	}
	if c.o.Today.IsZero() {
		c.o.Today = time.Now()
	}
	if c.layer.RowOf == nil {
		c.layer.RowOf = func(fid int64) (int64, string) { return fid, "" }
	}
	g := strings.ToUpper(c.layer.Geometry)
	c.areal = strings.HasSuffix(g, "POLYGON") || strings.HasPrefix(g, "GEOMETRY")
	c.linear = strings.HasSuffix(g, "LINESTRING") || strings.HasPrefix(g, "GEOMETRY")
}

func (c *checker) clean() {
	for _, s := range c.spills {
		s.close()
	}
	if c.dir != "" {
		_ = os.RemoveAll(c.dir) // what is left is swept with the folder it is in
	}
}

// newSpill makes a spill file with so many buckets. It is closed at the end, if
// not before.
func (c *checker) newSpill(buckets int) (*spill, error) {
	if c.dir == "" {
		dir, err := os.MkdirTemp(c.o.TempDir, "changde-quality-")
		if err != nil {
			return nil, fmt.Errorf("make a folder for the spill file: %w", err)
		}
		c.dir = dir
	}
	f, err := os.CreateTemp(c.dir, "spill-")
	if err != nil {
		return nil, fmt.Errorf("make the spill file in %s: %w", filepath.Base(c.dir), err)
	}
	s := &spill{f: f, buckets: make([]bucket, buckets)}
	c.spills = append(c.spills, s)
	return s, nil
}

// run applies the rules: first those of single rows, while the layer is read,
// then those that need neighbours.
func (c *checker) run(ctx context.Context) error {
	s := c.newScan()
	var later []func(context.Context) error
	for _, r := range c.rules {
		then, err := c.begin(ctx, s, r)
		if err != nil {
			return err
		}
		if then == nil {
			continue
		}
		later = append(later, func(ctx context.Context) error {
			start := time.Now()
			if err := then(ctx); err != nil {
				return fmt.Errorf("rule %s: %w", r.Code, err)
			}
			r.Elapsed += time.Since(start)
			return nil
		})
	}
	if err := s.run(ctx); err != nil {
		return fmt.Errorf("read the layer: %w", err)
	}
	if c.tiles != nil {
		if err := c.tiles.settle(); err != nil {
			return err
		}
	}
	for _, f := range later {
		if err := f(ctx); err != nil {
			return err
		}
	}
	return nil
}

// begin prepares a rule: it may register with the scan, and return what is to
// be done after it.
func (c *checker) begin(ctx context.Context, s *scan, r *rule) (func(context.Context) error, error) {
	switch r.Code {
	case "Q05":
		return nil, c.multipart(s, r)
	case "Q06":
		return c.overlaps(ctx, s, r)
	case "Q07":
		return c.gaps(ctx, s, r)
	case "Q08":
		return nil, c.slivers(s, r)
	case "Q09":
		return c.vertices(s, r)
	case "Q10":
		return c.dangles(r)
	case "Q11":
		return c.contained(ctx, s, r)
	case "Q12":
		return c.keys(s, r)
	case "Q13":
		return nil, c.mandatory(s, r)
	case "Q14":
		return nil, c.codes(s, r)
	case "Q15":
		return nil, c.logic(s, r)
	case "Q16":
		return c.areas(s, r)
	case "Q17":
		return c.edges(s, r)
	case "Q18":
		return nil, c.dates(s, r)
	case "Q19":
		return nil, c.metadata(r)
	case "Q01", "Q02", "Q03", "Q04":
		r.skip("由入库读取时检查", "checked while the delivery is read")
	case "Q20":
		r.skip("由差异比较检查", "checked by the difference with the current release")
	default:
		r.skip("没有这一规则", "there is no such rule")
	}
	return nil, nil
}

// found counts a finding of a rule, and says whether it is still to be emitted:
// the caller composes it only then.
func (c *checker) found(r *rule) bool {
	r.Found++
	if r.kept >= c.o.MaxFindings {
		return false
	}
	r.kept++
	return true
}

// tell emits a finding that found has let pass. fid 0 is the whole layer.
func (c *checker) tell(r *rule, fid int64, code, field string, place *[2]float64, zh, en string) {
	f := finding.Finding{Rule: r.Code, Code: code, Severity: r.Severity, Action: finding.Noted, Field: field, ZH: zh, EN: en, Place: place}
	if fid != 0 {
		f.Row, f.File = c.layer.RowOf(fid)
	}
	c.emit(f)
}

// none checks that a rule without parameters has none.
func (c *checker) none(r *rule) error {
	_, err := r.spec.Parameters(c.o.Profile)
	return err
}

// name names another row in a sentence about a row: its file only when it is
// another one. A negative number is that of a feature of the current release.
func (c *checker) name(fid, of int64) (zh, en string) {
	if fid < 0 {
		return fmt.Sprintf("当前版本的要素 %d", -fid), fmt.Sprintf("feature %d of the current release", -fid)
	}
	row, file := c.layer.RowOf(fid)
	if _, own := c.layer.RowOf(of); file != own {
		return fmt.Sprintf("%s 第 %d 行", file, row), fmt.Sprintf("row %d of %s", row, file)
	}
	return fmt.Sprintf("第 %d 行", row), fmt.Sprintf("row %d", row)
}

// column finds a delivered column by the name of a field: as it is, without
// regard to case, or cut to the 10 bytes that DBF allows.
func (c *checker) column(field string) (catalog.Column, bool) {
	for _, same := range []func(a, b string) bool{
		func(a, b string) bool { return a == b },
		strings.EqualFold,
		func(a, b string) bool { return len(b) > 10 && len(a) <= 10 && strings.EqualFold(a, cut(b, 10)) },
	} {
		if i := slices.IndexFunc(c.layer.Columns, func(col catalog.Column) bool { return same(col.Name, field) }); i >= 0 {
			return c.layer.Columns[i], true
		}
	}
	return catalog.Column{}, false
}

// cut is the longest prefix of whole characters within n bytes.
func cut(s string, n int) string {
	for len(s) > n {
		i := len(s) - 1
		for i > 0 && s[i]&0xc0 == 0x80 {
			i--
		}
		s = s[:i]
	}
	return s
}
