package changde_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "changde/"

// The levels, lowest first. A package imports packages of lower levels only, and
// of its own level only those under the same top folder. leaves stand below all
// levels.
var levels = [][]string{
	{"postgis", "schemas"},
	{"catalog", "access"},
	{"features", "tiles", "ingest", "projects", "examples"},
	{"api", "web"},
	{"cmd"},
}

// leafParents are the folders whose sub-folders are leaves, and leafAlone the
// leaves that stand elsewhere. A leaf imports problem and nothing else of ours;
// a format may speak the vocabulary of ingest/layer as well.
var (
	leafParents = []string{"ingest/"}
	leafAlone   = []string{"problem", "s3", "scratch", "features/cql2", "tiles/pmtiles", "tiles/mbtiles", "tiles/shelf"}
	notFormats  = []string{"ingest/layer", "ingest/crs", "ingest/charset", "ingest/archive", "ingest/depot", "ingest/dropbox", "ingest/finding"}
	// inIngest are the sub-folders of a leaf parent that are no leaves: they know
	// the database, or the other packages of their folder.
	inIngest = []string{"ingest/quality", "ingest/jobs"}
	// mayImport are what some leaves know beside: vocabularies, data, and what they
	// keep files in.
	mayImport = map[string][]string{
		"ingest/depot":   {"s3"},
		"ingest/dropbox": {"s3"},
		"tiles/shelf":    {"s3", "scratch"},
		"ingest/profile": {"ingest/finding", "ingest/layer", "schemas/profiles"},
		"ingest/report":  {"ingest/finding", "ingest/layer", "ingest/geojson", "ingest/geopackage"},
	}
)

// testOnly are imported by tests alone, and may import what they prepare.
var testOnly = []string{"postgis/postgistest", "s3/s3test"}

const leafLevel = -1

// level finds the level of a package by its path within the module.
func level(pkg string) (int, error) {
	if slices.Contains(leafAlone, pkg) || slices.Contains(testOnly, pkg) {
		return leafLevel, nil
	}
	for _, p := range leafParents {
		if strings.HasPrefix(pkg, p) && !slices.Contains(inIngest, pkg) {
			return leafLevel, nil
		}
	}
	top, _, _ := strings.Cut(pkg, "/")
	for i, l := range levels {
		if slices.Contains(l, top) {
			return i, nil
		}
	}
	return 0, fmt.Errorf("package %s has no level: give it one in architecture_test.go", pkg)
}

// checkImport says in a sentence why one package may not import another.
func checkImport(from, to string) error {
	if slices.Contains(testOnly, from) {
		return nil
	}
	if slices.Contains(testOnly, to) {
		return fmt.Errorf("%s imports %s, which is for tests alone", from, to)
	}
	f, err := level(from)
	if err != nil {
		return err
	}
	t, err := level(to)
	if err != nil {
		return err
	}
	if f == leafLevel {
		format := strings.HasPrefix(from, "ingest/") && !slices.Contains(notFormats, from)
		if to == "problem" || format && to == "ingest/layer" || slices.Contains(mayImport[from], to) {
			return nil
		}
		return fmt.Errorf("%s imports %s, but a leaf imports only problem, and a format ingest/layer too", from, to)
	}
	fromTop, _, _ := strings.Cut(from, "/")
	toTop, _, _ := strings.Cut(to, "/")
	switch {
	case t < f, fromTop == toTop && fromTop != "cmd":
		return nil
	case t == f:
		return fmt.Errorf("%s imports %s, but packages on one level do not import each other", from, to)
	}
	return fmt.Errorf("%s imports %s, which stands on a higher level", from, to)
}

func TestImportsPointDown(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Imports", "./...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	seen := 0
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var pkg struct {
			ImportPath string
			Imports    []string
		}
		if err := dec.Decode(&pkg); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		from, ours := strings.CutPrefix(pkg.ImportPath, module)
		if !ours {
			if len(pkg.Imports) > 0 {
				t.Errorf("the root folder holds product code of package %s", pkg.ImportPath)
			}
			continue
		}
		seen++
		if _, err := level(from); err != nil {
			t.Error(err)
			continue
		}
		for _, imported := range pkg.Imports {
			if to, ours := strings.CutPrefix(imported, module); ours {
				if err := checkImport(from, to); err != nil {
					t.Error(err)
				}
			}
		}
	}
	if seen < 3 {
		t.Errorf("only %d packages were seen", seen)
	}
}

func TestDirectionRules(t *testing.T) {
	t.Parallel()
	tests := []struct {
		from, to string
		ok       bool
	}{
		{"cmd/changde", "api", true},
		{"cmd/changde", "cmd/bench", false},
		{"api", "cmd/changde", false},
		{"api", "web", false},
		{"features", "tiles", false},
		{"tiles", "tiles/pmtiles", true},
		{"tiles/pmtiles", "problem", true},
		{"tiles/pmtiles", "tiles", false},
		{"tiles/mbtiles", "tiles/pmtiles", false},
		{"tiles", "catalog", true},
		{"features", "features/cql2", true},
		{"tiles", "features/cql2", true},
		{"features/cql2", "catalog", false},
		{"tiles/shelf", "s3", true},
		{"tiles/shelf", "ingest/depot", false},
		{"ingest/depot", "s3", true},
		{"ingest/shapefile", "s3", false},
		{"s3", "problem", true},
		{"s3", "postgis", false},
		{"catalog", "access", false},
		{"catalog", "postgis", true},
		{"postgis", "schemas", false},
		{"postgis", "problem", true},
		{"ingest", "ingest/shapefile", true},
		{"ingest/shapefile", "ingest/layer", true},
		{"ingest/shapefile", "ingest/charset", false},
		{"ingest/charset", "ingest/layer", false},
		{"ingest/shapefile", "ingest", false},
		{"postgis/postgistest", "schemas", true},
		{"api", "postgis/postgistest", false},
		{"helpers", "problem", false},
	}
	for _, tt := range tests {
		if err := checkImport(tt.from, tt.to); (err == nil) != tt.ok {
			t.Errorf("%s to %s: got %v, want allowed: %t", tt.from, tt.to, err, tt.ok)
		}
	}
}

// machinePath finds a path of somebody's own machine: a home or a workplace.
var machinePath = regexp.MustCompile(`(?:^|[^\w./~-])/(?:` + strings.Join([]string{"work", "home", "Users", "root"}, "|") + `)/[\w.-]+`)

// TestNoMachinePaths: nothing in the project depends on, or tells of, the
// machine it was written on.
func TestNoMachinePaths(t *testing.T) {
	t.Parallel()
	files := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			switch path {
			case ".git", ".changde", "bin", "sample", filepath.Join("web", "node_modules"):
				return filepath.SkipDir
			}
			return nil
		}
		if path == ".git" { // a file, in a worktree
			return nil
		}
		info, err := d.Info()
		if err != nil || !info.Mode().IsRegular() || info.Size() > 16<<20 {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		if at := machinePath.FindIndex(b); at != nil {
			line := 1 + bytes.Count(b[:at[0]], []byte("\n"))
			t.Errorf("%s:%d names a path of one machine: %q", path, line, b[at[0]:at[1]])
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 10 {
		t.Errorf("only %d files were read", files)
	}
}

func TestMachinePathIsFound(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		`open("/` + `work/main/x")`:  true,
		"/" + "home/li/changde":      true,
		"see /" + "Users/wang/a.shp": true,
		"https://a.cn/" + "home/x":   false,
		"../" + "work/x":             false,
		"the /work of others":        false,
	} {
		if got := machinePath.MatchString(text); got != want {
			t.Errorf("%q: found %t, want %t", text, got, want)
		}
	}
}
