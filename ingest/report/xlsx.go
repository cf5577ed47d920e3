package report

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/xuri/excelize/v2"

	"changde/ingest/finding"
)

// The sheets of the workbook.
const (
	sheetSummary    = "概况 Summary"
	sheetRules      = "规则 Rules"
	sheetDifference = "差异 Difference"
	sheetFindings   = "明细 Findings"
)

// The bounds of a sheet: rows below its heading, which keep the memory that the
// workbook takes below some 100 MiB, and characters of a cell.
const (
	sheetRows = 200_000
	sheetText = 2_000
)

// XLSX writes the document as a workbook. It lists the first 200,000 findings. No cell is a formula: a text that begins like one is
// stored as text, in the text format, so that it stays one when it is edited.
// Sheets larger than 16 MiB pass through files in the folder for temporary files;
// nothing is written to w before the end.
func XLSX(w io.Writer, d Document) error { return xlsx(w, d, sheetRows) }

// xlsx writes a workbook with so many findings.
func xlsx(w io.Writer, d Document, limit int64) (err error) {
	if err := d.check(); err != nil {
		return err
	}
	f := excelize.NewFile()
	defer func() { err = errors.Join(err, f.Close()) }() // removes the temporary files
	b, err := newBook(f)
	if err != nil {
		return fmt.Errorf("report of delivery %d: %w", d.Delivery, err)
	}
	counted := newTally()
	if err := b.findings(&d, counted, limit); err != nil {
		return err
	}
	results, counts := counted.results(&d), counted.counts(&d)
	for _, fill := range []func() error{
		func() error { return b.summary(&d, counts, results, counted.total, limit) },
		func() error { return b.rules(results) },
		func() error { return b.difference(d.Difference) },
	} {
		if err := fill(); err != nil {
			return fmt.Errorf("report of delivery %d: %w", d.Delivery, err)
		}
	}
	out := bufio.NewWriterSize(w, 64<<10)
	if err = f.Write(out); err == nil {
		err = out.Flush()
	}
	if err != nil {
		return fmt.Errorf("write the report of delivery %d: %w", d.Delivery, err)
	}
	return nil
}

// book is the workbook with its styles.
type book struct {
	file  *excelize.File
	style struct {
		text, wrap, name, head, whole, area, degree, seconds, time, block, err, warn int
	}
}

func newBook(f *excelize.File) (*book, error) {
	if err := f.SetSheetName("Sheet1", sheetSummary); err != nil {
		return nil, err
	}
	for _, name := range []string{sheetRules, sheetDifference, sheetFindings} {
		if _, err := f.NewSheet(name); err != nil {
			return nil, err
		}
	}
	b := &book{file: f}
	format := func(s string) *string { return &s }
	const textFormat = 49 // "@"
	top := &excelize.Alignment{Vertical: "top"}
	wrapped := &excelize.Alignment{Vertical: "top", WrapText: true}
	fill := func(colour string) excelize.Fill {
		return excelize.Fill{Type: "pattern", Pattern: 1, Color: []string{colour}}
	}
	for _, s := range []struct {
		id    *int
		style excelize.Style
	}{
		{&b.style.text, excelize.Style{NumFmt: textFormat, Alignment: top}},
		{&b.style.wrap, excelize.Style{NumFmt: textFormat, Alignment: wrapped}},
		{&b.style.name, excelize.Style{NumFmt: textFormat, Alignment: wrapped, Fill: fill("F6F1E7")}},
		{&b.style.head, excelize.Style{
			NumFmt: textFormat, Alignment: &excelize.Alignment{Vertical: "center", WrapText: true}, Fill: fill("1F5F58"),
			Font: &excelize.Font{Bold: true, Color: "FFFFFF"},
		}},
		{&b.style.whole, excelize.Style{CustomNumFmt: format("#,##0"), Alignment: top}},
		{&b.style.area, excelize.Style{CustomNumFmt: format("#,##0.00"), Alignment: top}},
		{&b.style.degree, excelize.Style{CustomNumFmt: format("0.0000000"), Alignment: top}},
		{&b.style.seconds, excelize.Style{CustomNumFmt: format("0.000"), Alignment: top}},
		{&b.style.time, excelize.Style{CustomNumFmt: format("yyyy-mm-dd hh:mm:ss"), Alignment: &excelize.Alignment{Vertical: "top", Horizontal: "left"}}},
		{&b.style.block, excelize.Style{NumFmt: textFormat, Alignment: top, Fill: fill("B8323F"), Font: &excelize.Font{Bold: true, Color: "FFFFFF"}}},
		{&b.style.err, excelize.Style{NumFmt: textFormat, Alignment: top, Fill: fill("FBE3E0"), Font: &excelize.Font{Bold: true, Color: "8C2530"}}},
		{&b.style.warn, excelize.Style{NumFmt: textFormat, Alignment: top, Fill: fill("FDF5E4"), Font: &excelize.Font{Italic: true, Color: "7D4A00"}}},
	} {
		var err error
		if *s.id, err = f.NewStyle(&s.style); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// sheet is one sheet as it is written row by row.
type sheet struct {
	*book
	w   *excelize.StreamWriter
	row int // the last one written
	err error
}

// sheet begins a sheet whose first frozen rows and columns stay in view.
func (b *book) sheet(name string, frozenRows, frozenColumns int, widths ...float64) (*sheet, error) {
	w, err := b.file.NewStreamWriter(name)
	if err != nil {
		return nil, err
	}
	for i, width := range widths {
		if err := w.SetColWidth(i+1, i+1, width); err != nil {
			return nil, err
		}
	}
	if frozenRows+frozenColumns > 0 {
		cell, err := excelize.CoordinatesToCellName(frozenColumns+1, frozenRows+1)
		if err != nil {
			return nil, err
		}
		pane := "bottomLeft"
		if frozenColumns > 0 {
			pane = "bottomRight"
		}
		if err := w.SetPanes(&excelize.Panes{Freeze: true, XSplit: frozenColumns, YSplit: frozenRows, TopLeftCell: cell, ActivePane: pane}); err != nil {
			return nil, err
		}
	}
	return &sheet{book: b, w: w}, nil
}

// write adds a row. After an error nothing more is written; finish gives it.
func (s *sheet) write(cells ...any) {
	s.row++
	if s.err != nil {
		return
	}
	name, err := excelize.CoordinatesToCellName(1, s.row)
	if err == nil {
		err = s.w.SetRow(name, cells)
	}
	s.err = err
}

// head adds a row of headings.
func (s *sheet) head(titles ...string) {
	cells := make([]any, len(titles))
	for i, t := range titles {
		cells[i] = excelize.Cell{StyleID: s.style.head, Value: t}
	}
	s.write(cells...)
}

// finish ends the sheet; its rows from the first on can be filtered when filter
// names a table.
func (s *sheet) finish(filter string, columns int) error {
	if s.err == nil && filter != "" && s.row > 1 {
		to, err := excelize.CoordinatesToCellName(columns, s.row)
		if err != nil {
			return err
		}
		stripes := false
		s.err = s.w.AddTable(&excelize.Table{Range: "A1:" + to, Name: filter, StyleName: "TableStyleLight1", ShowRowStripes: &stripes})
	}
	if s.err != nil {
		return s.err
	}
	return s.w.Flush()
}

// text is a cell that is text whatever it looks like; an empty one is left out.
func (b *book) text(s string) any {
	if s == "" {
		return nil
	}
	return excelize.Cell{StyleID: b.style.text, Value: visible(s, sheetText)}
}

func (b *book) wrap(s string) any {
	if s == "" {
		return nil
	}
	return excelize.Cell{StyleID: b.style.wrap, Value: visible(s, sheetText)}
}

func (b *book) whole(n int64) any { return excelize.Cell{StyleID: b.style.whole, Value: n} }

func (b *book) severity(s finding.Severity) any {
	style := b.style.text
	switch s {
	case finding.Block:
		style = b.style.block
	case finding.Error:
		style = b.style.err
	case finding.Warn:
		style = b.style.warn
	}
	return excelize.Cell{StyleID: style, Value: visible(named(severities, s).both(), sheetText)}
}
