package csv

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"changde/ingest/layer"
	"changde/problem"
)

var errRecord = errors.New("the row is too long")

// guard ends the input when one row takes too much of it: encoding/csv would keep a
// quoted field that is never closed until the end of the file.
type guard struct {
	ctx  context.Context
	r    io.Reader
	left int
}

func (g *guard) Read(p []byte) (int, error) {
	if err := g.ctx.Err(); err != nil {
		return 0, err
	}
	if g.left <= 0 {
		return 0, errRecord
	}
	n, err := g.r.Read(p)
	g.left -= n
	return n, err
}

// rows cuts a file into rows of cells.
type rows struct {
	where string
	guard *guard
	csv   *csv.Reader
	width int
	row   int64
}

// rows opens the file behind its header.
func (info *Info) rows(ctx context.Context, f *os.File, where string) (*rows, error) {
	r, err := info.open(ctx, f, where)
	if err != nil {
		return nil, err
	}
	if _, err := r.read(); err != nil {
		return nil, r.fail(err, "表头", "the header")
	}
	r.width = len(info.names)
	return r, nil
}

// open opens the file at its header.
func (info *Info) open(ctx context.Context, f *os.File, where string) (*rows, error) {
	text, err := info.Encoding.open(f, where)
	if err != nil {
		return nil, err
	}
	g := &guard{ctx: ctx, r: text, left: maxRecord}
	br := bufio.NewReaderSize(g, 64<<10)
	if info.skip {
		if _, err := br.ReadString('\n'); err != nil && err != io.EOF {
			return nil, fmt.Errorf("read %s: %w", where, err)
		}
	}
	r := &rows{where: where, guard: g, csv: newCSV(br, info.Delimiter)}
	return r, nil
}

func newCSV(r io.Reader, delimiter rune) *csv.Reader {
	c := csv.NewReader(r)
	c.Comma = delimiter
	c.FieldsPerRecord = -1
	c.ReuseRecord = true
	return c
}

func (r *rows) read() ([]string, error) {
	r.guard.left = maxRecord
	return r.csv.Read()
}

// next returns the next row, or why it cannot be used. The cells are good until the
// following call.
func (r *rows) next() (cells []string, fault *layer.Fault, err error) {
	cells, err = r.read()
	if err == io.EOF {
		return nil, nil, err
	}
	r.row++
	if err != nil {
		bad, ok := errors.AsType[*csv.ParseError](err)
		if !ok {
			return nil, nil, r.fail(err, fmt.Sprintf("第 %d 行数据", r.row), fmt.Sprintf("row %d", r.row))
		}
		return nil, r.quoteFault(bad), nil
	}
	if len(cells) == r.width {
		return cells, nil, nil
	}
	if len(cells) > r.width {
		// Spreadsheets write separators for every column that was ever touched.
		if strings.Join(cells[r.width:], "") == "" {
			return cells[:r.width], nil, nil
		}
	}
	line, _ := r.csv.FieldPos(0)
	return nil, &layer.Fault{
		Row: r.row, Code: "row-width", Lost: true,
		ZH: fmt.Sprintf("有 %d 列，表头有 %d 列（文件第 %d 行）；含分隔符的文本应加双引号", len(cells), r.width, line),
		EN: fmt.Sprintf("%d columns where the header has %d (line %d of the file); put text that holds the delimiter in double quotes", len(cells), r.width, line),
	}, nil
}

func (r *rows) quoteFault(bad *csv.ParseError) *layer.Fault {
	zh, en := fmt.Sprintf("文件第 %d 行", bad.Line), fmt.Sprintf("line %d", bad.Line)
	if bad.StartLine != bad.Line {
		zh = fmt.Sprintf("文件第 %d 至 %d 行，其间各行都未能读出", bad.StartLine, bad.Line)
		en = fmt.Sprintf("lines %d to %d, none of which could be read", bad.StartLine, bad.Line)
	}
	return &layer.Fault{
		Row: r.row, Code: "quote", Lost: true,
		ZH: "双引号不成对或位置不对（" + zh + "）；含双引号的文本应整体加双引号，其中的双引号写成两个",
		EN: "double quotes do not match or stand in the wrong place (" + en + "); put text with quotes in double quotes and write each inner one twice",
	}
}

// fail turns what stops reading into a problem.
func (r *rows) fail(err error, zh, en string) error {
	switch {
	case errors.Is(err, errRecord):
		return problem.New(problem.TooLarge, "csv-row-size", r.where,
			fmt.Sprintf("%s超过 %d MiB；多半是双引号没有成对", zh, maxRecord>>20), fmt.Sprintf("%s is longer than %d MiB; most likely a double quote is never closed", en, maxRecord>>20))
	case err == io.EOF:
		return problem.New(problem.Invalid, "csv-empty", r.where, "文件是空的，没有表头", "the file is empty: there is no header")
	}
	if _, ok := errors.AsType[*csv.ParseError](err); ok {
		return problem.Wrap(err, problem.Invalid, "csv-header", r.where, zh+"的双引号不成对", "the double quotes of "+en+" do not match")
	}
	return fmt.Errorf("read %s: %w", r.where, err)
}

// findDelimiter tells the delimiter by the first rows: the one that gives the most
// rows of the header's width, and among equals the widest.
func (info *Info) findDelimiter(f *os.File, where string) error {
	text, err := info.Encoding.open(f, where)
	if err != nil {
		return err
	}
	sample := make([]byte, 256<<10)
	n, err := io.ReadFull(text, sample)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return fmt.Errorf("read %s: %w", where, err)
	}
	sample = sample[:n]
	info.Delimiter = ','
	if first, _, _ := bytes.Cut(sample, []byte("\n")); len(first) < 8 {
		if c, ok := bytes.CutPrefix(bytes.TrimRight(first, "\r"), []byte("sep=")); ok && len(c) == 1 && strings.IndexByte(",\t;|", c[0]) >= 0 {
			info.Delimiter, info.skip = rune(c[0]), true
			return nil
		}
	}
	whole := err != nil
	best := [2]int{}
	for _, d := range ",\t;|" {
		if s := score(sample, d, whole); s[0] > best[0] || s[0] == best[0] && s[1] > best[1] {
			best, info.Delimiter = s, d
		}
	}
	head, _, _ := bytes.Cut(sample, []byte("\n"))
	if best[1] <= 1 && bytes.Contains(head, []byte("，")) {
		return problem.New(problem.Invalid, "csv-delimiter", where,
			"各列用中文全角逗号“，”分隔；请改用半角逗号 , 或制表符", "the columns are separated by the full-width comma U+FF0C; use the comma , or a tab")
	}
	return nil
}

// score reads the sample with a delimiter: the share of rows, in thousandths, that
// are as wide as the header, and that width. A width of one scores nothing.
func score(sample []byte, delimiter rune, whole bool) [2]int {
	c := newCSV(bytes.NewReader(sample), delimiter)
	width, same, n := 0, 0, 0
	for n < 100 {
		cells, err := c.Read()
		if err == io.EOF || !whole && c.InputOffset() >= int64(len(sample)) {
			break
		}
		if n == 0 {
			width = len(cells)
		}
		n++
		if err == nil && len(cells) == width {
			same++
		}
	}
	if width <= 1 {
		return [2]int{}
	}
	return [2]int{1000 * same / n, width}
}

// header reads and repairs the names of the columns.
func (info *Info) header(ctx context.Context, f *os.File, where string) error {
	r, err := info.open(ctx, f, where)
	if err != nil {
		return err
	}
	cells, err := r.read()
	if err != nil {
		return r.fail(err, "表头", "the header")
	}
	for len(cells) > 0 && strings.TrimSpace(cells[len(cells)-1]) == "" {
		cells = cells[:len(cells)-1]
	}
	if len(cells) > maxFields {
		return problem.New(problem.TooLarge, "csv-fields", where, fmt.Sprintf("列数 %d 超过 %d", len(cells), maxFields), fmt.Sprintf("%d columns are more than %d", len(cells), maxFields))
	}
	numbers := len(cells) > 0
	taken := make(map[string]bool)
	for i, c := range cells {
		name, _ := clean(c)
		if len(name) > maxName {
			return problem.New(problem.TooLarge, "csv-name-length", where, fmt.Sprintf("第 %d 列的列名超过 %d 字节", i+1, maxName), fmt.Sprintf("the name of column %d is longer than %d bytes", i+1, maxName))
		}
		if _, err := strconv.ParseFloat(name, 64); err != nil {
			numbers = false
		}
		if name == "" {
			name = fmt.Sprintf("column_%d", i+1)
			info.note("name-empty", fmt.Sprintf("第 %d 列没有列名，取名 %s", i+1, name), fmt.Sprintf("column %d has no name and was called %s", i+1, name))
		}
		if base := name; taken[name] {
			for k := 2; taken[name]; k++ {
				name = fmt.Sprintf("%s_%d", base, k)
			}
			info.note("name-duplicate", fmt.Sprintf("第 %d 列的列名 %s 重复，改称 %s", i+1, base, name), fmt.Sprintf("the name %s of column %d is taken; it was called %s", base, i+1, name))
		}
		taken[name] = true
		info.names = append(info.names, name)
	}
	if len(cells) == 0 || numbers {
		return problem.New(problem.Invalid, "csv-no-header", where,
			"第一行不是列名；请在文件第一行写明各列名称", "the first line does not name the columns; write their names in the first line of the file")
	}
	return nil
}
