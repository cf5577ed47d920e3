package profile

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"changde/problem"
)

// The bounds of a code table.
const (
	maxCodesBytes = 32 << 20
	maxCodes      = 200_000
	maxCode       = 40
	maxDepth      = 12
	maxMaps       = 20
)

// columns of the CSV of a code table. The first two are required.
var columns = []string{"code", "name", "parent", "group", "geometry", "from", "to", "maps", "uncertain"}

// DecodeCodes reads a code table: its head, a JSON object, and its rows, a CSV
// with a first line of column names (docs/formats/profile.md). Unreadable input
// is a *problem.Error; what is wrong with a readable one is in the issues, and
// the table must not be used when there are any.
func DecodeCodes(head, rows io.Reader) (*Codes, []Issue, error) {
	raw, err := readObject(head, maxDocument)
	if err != nil {
		return nil, nil, err
	}
	var out issues
	o, ok := open("$", raw, &out)
	if !ok {
		return &Codes{}, out.list, nil
	}
	c := &Codes{ID: o.text("id", maxID, true), index: map[string]int{}}
	if c.ID != "" && !idForm.MatchString(c.ID) {
		out.error("$.id", "codes-id", "编号只能用小写字母、数字和连字符", "the id has lower-case letters, digits and dashes")
	}
	c.TitleZH, c.TitleEN = readTitle(o)
	c.Edition = o.text("edition", maxText, true)
	c.Source = o.text("source", maxText, false)
	c.Uncertain = o.text("uncertain", maxText, false)
	c.MapsTo = o.text("mapsTo", maxID, false)
	c.Partial = o.flag("partial")
	if raw, ok := o.take("open", false); ok {
		if inner, ok := open(o.at("open"), raw, &out); ok {
			c.Open = readOpen(inner)
		}
	}
	o.close()
	if err := c.readRows(rows, &out); err != nil {
		return nil, nil, err
	}
	c.checkTree(&out)
	return c, out.list, nil
}

func readOpen(o object) *OpenCodes {
	defer o.close()
	c := &OpenCodes{Prefix: o.count("prefix", maxCode), Pad: o.count("pad", maxCode)}
	for i, raw := range o.list("lengths", maxMaps, true) {
		path := fmt.Sprintf("%s[%d]", o.at("lengths"), i)
		c.Lengths = append(c.Lengths, count(path, raw, maxCode, o.out))
	}
	return c
}

func (c *Codes) readRows(r io.Reader, out *issues) error {
	b, err := io.ReadAll(io.LimitReader(r, maxCodesBytes+1))
	if err != nil {
		return fmt.Errorf("read a code table: %w", err)
	}
	if len(b) > maxCodesBytes {
		return problem.New(problem.TooLarge, "codes-too-large", "", "代码表超过 32 MiB", "the code table is longer than 32 MiB")
	}
	if !utf8.Valid(b) {
		return problem.New(problem.Invalid, "codes-not-csv", "", "代码表不是 UTF-8 编码", "the code table is not in UTF-8")
	}
	table := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(b, []byte("\ufeff"))))
	table.ReuseRecord = true
	header, err := table.Read()
	if err != nil {
		return problem.Wrap(err, problem.Invalid, "codes-not-csv", "", "代码表没有列名行", "the code table has no line of column names")
	}
	at := map[string]int{}
	for i, name := range header {
		if _, twice := at[name]; twice || !slices.Contains(columns, name) {
			return problem.New(problem.Invalid, "codes-column", cut(name, maxID),
				"列名未知或重复，可用 "+strings.Join(columns, "、"), "the column is unknown or there twice; there are "+strings.Join(columns, ", "))
		}
		at[name] = i
	}
	for _, name := range columns[:2] {
		if _, ok := at[name]; !ok {
			return problem.New(problem.Invalid, "codes-column", name, "缺少这一列", "the column is missing")
		}
	}
	for {
		record, err := table.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			var broken *csv.ParseError
			if !errors.As(err, &broken) {
				return fmt.Errorf("read a code table: %w", err)
			}
			return problem.Wrap(err, problem.Invalid, "codes-not-csv", fmt.Sprintf("第 %[1]d 行 line %[1]d", broken.Line), "CSV 有误，检查引号与列数", "the CSV is broken; check quotes and the number of columns")
		}
		if len(c.rows) == maxCodes {
			return problem.New(problem.TooLarge, "codes-too-large", "",
				fmt.Sprintf("代码超过 %d 个", maxCodes), fmt.Sprintf("there are more than %d codes", maxCodes))
		}
		c.addRow(fmt.Sprintf("$.rows[%d]", len(c.rows)), func(name string) string {
			if i, ok := at[name]; ok {
				return strings.Clone(record[i])
			}
			return ""
		}, out)
	}
}

func (c *Codes) addRow(path string, get func(string) string, out *issues) {
	row := Code{
		Code: get("code"), Name: get("name"), Parent: get("parent"), Geometry: get("geometry"),
		From: get("from"), To: get("to"), Uncertain: get("uncertain"),
	}
	row.Maps = strings.Fields(get("maps"))
	for _, s := range []string{row.Code, row.Name, row.Parent, row.Uncertain} {
		if utf8.RuneCountInString(s) > maxText || strings.TrimSpace(s) != s {
			out.error(path, "code-text", "单元格过长或首尾有空格", "a cell is too long or has spaces around it")
		}
	}
	if row.Code == "" || len(row.Code) > maxCode || row.Name == "" {
		out.error(path, "code-empty", "代码或名称为空，或代码过长", "the code or its name is empty, or the code is too long")
	}
	switch get("group") {
	case "":
	case "1":
		row.Group = true
	default:
		out.error(path, "code-group", "group 只能为空或 1", "group is empty or 1")
	}
	if strings.Trim(row.Geometry, "PLA") != "" || len(row.Geometry) > 3 {
		out.error(path, "code-geometry", "geometry 只用字母 P、L、A", "geometry has the letters P, L and A")
	}
	for _, day := range []string{row.From, row.To} {
		if _, err := time.Parse(time.DateOnly, day); day != "" && err != nil {
			out.error(path, "code-date", "日期写作 2006-01-02", "a date is written 2006-01-02")
		}
	}
	if row.From != "" && row.To != "" && row.From >= row.To {
		out.error(path, "code-date", "生效日期不早于失效日期", "the code ends before it begins")
	}
	if len(row.Maps) > maxMaps || len(row.Maps) > 0 && c.MapsTo == "" {
		out.error(path, "code-maps", "对应代码过多，或表头没有 mapsTo", "too many codes are mapped to, or the head has no mapsTo")
	}
	if _, twice := c.index[row.Code]; twice {
		out.error(path, "code-duplicate", "代码 "+cite(row.Code)+" 重复", "the code "+cite(row.Code)+" is there twice")
		return
	}
	c.index[row.Code] = len(c.rows)
	c.rows = append(c.rows, row)
}

// checkTree finds parents that are not there and rings of parents.
func (c *Codes) checkTree(out *issues) {
	for i, row := range c.rows {
		path := fmt.Sprintf("$.rows[%d].parent", i)
		depth := 0
		for row.Parent != "" {
			parent, ok := c.Get(row.Parent)
			if !ok {
				out.error(path, "code-parent", "没有上级代码 "+cite(row.Parent), "there is no parent "+cite(row.Parent))
				break
			}
			if depth++; depth >= maxDepth {
				out.error(path, "code-parent", "上级代码成环或过深", "the parents form a ring or are too deep")
				break
			}
			row = parent
		}
	}
	if o := c.Open; o != nil {
		for _, n := range o.Lengths {
			if n < 1 || o.Prefix < 1 {
				out.error("$.open", "codes-open", "lengths 与 prefix 应为正数", "lengths and prefix are positive")
			}
		}
	}
}
