package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/xuri/excelize/v2"

	"changde/ingest/finding"
)

// workbook writes a document as a workbook and opens it.
func workbook(t *testing.T, d Document) (*excelize.File, []byte) {
	t.Helper()
	var b bytes.Buffer
	if err := XLSX(&b, d); err != nil {
		t.Fatal(err)
	}
	f, err := excelize.OpenReader(bytes.NewReader(b.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f, b.Bytes()
}

// TestWorkbook compares every sheet with a text that a person can read.
func TestWorkbook(t *testing.T) {
	t.Parallel()
	f, _ := workbook(t, parcels())
	var out bytes.Buffer
	for _, sheet := range f.GetSheetList() {
		out.WriteString("# " + sheet + "\n")
		rows, err := f.GetRows(sheet)
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			out.WriteString(strings.ReplaceAll(strings.Join(row, " | "), "\n", "⏎") + "\n")
		}
		out.WriteString("\n")
	}
	golden(t, "parcels.xlsx.txt", out.Bytes())
}

func TestWorkbookIsToWorkWith(t *testing.T) {
	t.Parallel()
	f, _ := workbook(t, parcels())
	if diff := cmp.Diff([]string{sheetSummary, sheetRules, sheetDifference, sheetFindings}, f.GetSheetList()); diff != "" {
		t.Fatalf("sheets (-want +got):\n%s", diff)
	}
	for _, sheet := range []string{sheetRules, sheetFindings} {
		rows, err := f.GetRows(sheet)
		if err != nil {
			t.Fatal(err)
		}
		panes, err := f.GetPanes(sheet)
		if err != nil || !panes.Freeze || panes.YSplit != 1 {
			t.Errorf("%s: the heading is not frozen: %+v, %v", sheet, panes, err)
		}
		tables, err := f.GetTables(sheet)
		last, _ := excelize.CoordinatesToCellName(len(rows[0]), len(rows))
		if err != nil || len(tables) != 1 || tables[0].Range != "A1:"+last {
			t.Errorf("%s: no filter over A1:%s: %+v, %v", sheet, last, tables, err)
		}
	}
	for cell, want := range map[string]excelize.CellType{
		"A2": excelize.CellTypeUnset, "C3": excelize.CellTypeUnset, "L4": excelize.CellTypeUnset, "D2": excelize.CellTypeInlineString, "J2": excelize.CellTypeInlineString,
	} {
		if got, err := f.GetCellType(sheetFindings, cell); err != nil || got != want {
			t.Errorf("%s of the findings is of type %v, want %v, %v", cell, got, want, err)
		}
	}
	for cell, want := range map[string]string{"C3": "12", "L4": "111.6931205", "M4": "29.0312764"} {
		if got, err := f.GetCellValue(sheetFindings, cell, excelize.Options{RawCellValue: true}); err != nil || got != want {
			t.Errorf("%s of the findings is %q, want %q, %v", cell, got, want, err)
		}
	}
	if w, err := f.GetColWidth(sheetFindings, "J"); err != nil || w != 60 {
		t.Errorf("the column of texts is %v wide, %v", w, err)
	}
}

// TestNoFormulas reads the workbook with another library: no cell of it is a
// formula, and every text is there as text.
func TestNoFormulas(t *testing.T) {
	t.Parallel()
	for _, s := range hostile {
		f, _ := workbook(t, told(s, true))
		for _, sheet := range f.GetSheetList() {
			rows, err := f.GetRows(sheet)
			if err != nil {
				t.Fatal(err)
			}
			seen := false
			want, stored := visible(s, sheetText), visible(storable(s), sheetText)
			for y, row := range rows {
				for x, value := range row {
					cell, _ := excelize.CoordinatesToCellName(x+1, y+1)
					if formula, err := f.GetCellFormula(sheet, cell); err != nil || formula != "" {
						t.Fatalf("%s %s is the formula %q, %v", sheet, cell, formula, err)
					}
					seen = seen || strings.Contains(value, want) || strings.Contains(value, stored)
				}
			}
			if !seen {
				t.Errorf("%s lacks the text %.40q", sheet, want)
			}
		}
	}
}

// TestEmptyWorkbook: a sheet of headings alone has no table, which Excel would
// call damaged.
func TestEmptyWorkbook(t *testing.T) {
	t.Parallel()
	f, _ := workbook(t, Document{Delivery: 7})
	for _, sheet := range f.GetSheetList() {
		if tables, err := f.GetTables(sheet); err != nil || len(tables) > 0 {
			t.Errorf("%s: %+v, %v", sheet, tables, err)
		}
	}
}

// TestWorkbookTellsWhatItLeavesOut: what is beyond the bound is counted and said.
func TestWorkbookTellsWhatItLeavesOut(t *testing.T) {
	t.Parallel()
	for _, limit := range []int64{5, 14, 15, 16} {
		var b bytes.Buffer
		if err := xlsx(&b, parcels(), limit); err != nil {
			t.Fatal(err)
		}
		f, err := excelize.OpenReader(&b)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		rows, err := f.GetRows(sheetFindings)
		if err != nil || int64(len(rows)) != 1+min(limit, 15) {
			t.Errorf("%d rows of findings at most %d, %v", len(rows)-1, limit, err)
		}
		facts, err := f.GetRows(sheetSummary)
		if err != nil {
			t.Fatal(err)
		}
		said := ""
		for _, row := range facts {
			if len(row) > 1 && row[0] == "未列出 Not listed" {
				said = row[1]
			}
		}
		if left := 15 - limit; left > 0 != strings.HasPrefix(said, strconv.FormatInt(left, 10)+" 条") {
			t.Errorf("with at most %d the summary says %q", limit, said)
		}
	}
}

// sheetOracle reads a workbook with nothing but Python's own zip and XML readers.
const sheetOracle = `
import json, sys, zipfile, xml.etree.ElementTree as ET
m = '{http://schemas.openxmlformats.org/spreadsheetml/2006/main}'
z = zipfile.ZipFile(sys.argv[1])
assert z.testzip() is None
for n in z.namelist():
    if n.endswith('.xml') or n.endswith('.rels'): ET.fromstring(z.read(n))
names = [s.get('name') for s in ET.fromstring(z.read('xl/workbook.xml')).iter(m + 'sheet')]
out = {}
for i, name in enumerate(names):
    root = ET.fromstring(z.read('xl/worksheets/sheet%d.xml' % (i + 1)))
    assert not list(root.iter(m + 'f')), name + ' has a formula'
    rows = list(root.iter(m + 'row'))
    out[name] = {'rows': len(rows), 'text': sum(c.get('t') == 'inlineStr' for c in root.iter(m + 'c')), 'number': sum(c.get('t') in (None, 'n') for c in root.iter(m + 'c')), 'pane': len(list(root.iter(m + 'pane'))), 'table': len(list(root.iter(m + 'tablePart')))}
print(json.dumps(out))
`

func TestPythonReadsTheWorkbook(t *testing.T) {
	t.Parallel()
	python := tool(t, "python3")
	_, b := workbook(t, parcels())
	path := filepath.Join(t.TempDir(), "report.xlsx")
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(python, "-c", sheetOracle, path).Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr(err))
	}
	var got map[string]struct{ Rows, Text, Number, Pane, Table int }
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	if f := got[sheetFindings]; f.Rows != 16 || f.Number != 15+14+12*2 || f.Pane != 1 || f.Table != 1 {
		t.Errorf("the findings: %+v", f)
	}
	if r := got[sheetRules]; r.Rows != 13 || r.Pane != 1 || r.Table != 1 {
		t.Errorf("the rules: %+v", r)
	}
}

// TestGDALReadsTheWorkbook: the types of the columns are told from the cells.
func TestGDALReadsTheWorkbook(t *testing.T) {
	t.Parallel()
	ogr2ogr := tool(t, "ogr2ogr")
	_, b := workbook(t, parcels())
	dir := t.TempDir()
	path := filepath.Join(dir, "report.xlsx")
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	info, err := exec.Command(tool(t, "ogrinfo"), "-so", path, sheetFindings).Output()
	if err != nil {
		t.Skipf("GDAL has no XLSX driver: %s", stderr(err))
	}
	for _, want := range []string{"Feature Count: 15", "行 Row: Integer", "经度 Longitude: Real", "规则 Rule: String"} {
		if !strings.Contains(string(info), want) {
			t.Errorf("ogrinfo does not say %q:\n%s", want, info)
		}
	}
	out, err := exec.Command(ogr2ogr, "-f", "CSV", "/vsistdout/", path, sheetFindings).Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr(err))
	}
	rows, err := csv.NewReader(bytes.NewReader(out)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	d, i := parcels(), 0
	err = d.each(func(f finding.Finding) error {
		i++
		row := ""
		if f.Row > 0 {
			row = strconv.FormatInt(f.Row, 10)
		}
		if got, want := []string{rows[i][2], rows[i][3], rows[i][9]}, []string{row, f.Rule, visible(f.ZH, sheetText)}; !cmp.Equal(got, want) {
			t.Errorf("row %d is %q, want %q", i, got, want)
		}
		return nil
	})
	if err != nil || i != len(rows)-1 {
		t.Errorf("%d findings in %d rows, %v", i, len(rows), err)
	}
	summary, err := exec.Command(ogr2ogr, "-f", "CSV", "/vsistdout/", path, sheetSummary).Output()
	if err != nil || !strings.Contains(string(summary), "2026/11/24 08:41:07") {
		t.Errorf("the time of receipt is not that of Beijing, %v:\n%s", err, summary)
	}
}

func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil && testing.Short() {
		t.Skipf("%s is not installed", name)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func stderr(err error) []byte {
	if exit, ok := err.(*exec.ExitError); ok {
		return exit.Stderr
	}
	return nil
}
