package shapefile

import (
	"bytes"
	"fmt"
	"math"
	"time"

	"changde/ingest/layer"
)

// decodeRow decodes one row of the table into f, with its faults.
func (r *Reader) decodeRow(row []byte, f *layer.Feature) {
	for i := range r.table.columns {
		c := &r.table.columns[i]
		f.Values[i] = r.value(c, row[c.off:c.off+c.width], f)
	}
}

func (r *Reader) value(c *column, b []byte, f *layer.Feature) any {
	switch c.kind {
	case 'C':
		b = trimRight(b)
		if len(b) == 0 {
			return nil
		}
		if s := c.memo.find(b); s != nil {
			return s.value
		}
		return r.text(c, b, f)
	case 'N', 'F':
		b = trim(b)
		if len(b) == 0 {
			return nil
		}
		if s := c.memo.find(b); s != nil {
			return s.value
		}
		v, reason := number(c.typ, b)
		if v == nil {
			unreadable(f, c, b, reason)
			return nil
		}
		c.memo.keep(b, v)
		return v
	case 'L':
		return logical(c, b, f)
	case 'D':
		return date(c, b, f)
	case 'I':
		return int64(int32(le.Uint32(b)))
	case 'B', 'O':
		v := math.Float64frombits(le.Uint64(b))
		if math.IsNaN(v) || math.IsInf(v, 0) {
			addFault(f, c, "number-unreadable", "双精度值不是有限数，按空值处理", "the double is not a finite number and is taken as missing")
			return nil
		}
		return v
	case 'Y':
		return currency(int64(le.Uint64(b)))
	case 'T', '@':
		return timestamp(c, b, f)
	}
	return nil // memo: told once, when the file was opened
}

func (r *Reader) text(c *column, b []byte, f *layer.Feature) any {
	clean := true
	if i := bytes.IndexByte(b, 0); i >= 0 {
		// Programs written in C leave what was in memory after the NUL.
		if len(trimRight(b[i:])) > 0 {
			clean = false
			addFault(f, c, "text-after-nul", "文本中间有 NUL 字节，其后的内容按垃圾数据舍去", "the text holds a NUL byte; what follows it was taken as garbage and dropped")
		}
		if b = trimRight(b[:i]); len(b) == 0 {
			return nil
		}
	}
	s, cut, bad := r.decode(b)
	if cut > 0 {
		clean = false
		addFault(f, c, "text-cut", fmt.Sprintf("文本在字段末尾截断了半个汉字(%d 字节)，已舍去，内容可能不全", cut),
			fmt.Sprintf("the text is cut within a character at the end of the field; the half (%d bytes) was dropped and the text may be incomplete", cut))
	}
	if bad > 0 {
		clean = false
		addFault(f, c, "text-undecodable", fmt.Sprintf("文本中有 %d 个字节不能按所选编码解释，显示为 \uFFFD", bad),
			fmt.Sprintf("%d bytes of the text mean nothing in the chosen encoding and show as \uFFFD", bad))
	}
	if s == "" {
		return nil
	}
	v := any(s)
	if clean {
		c.memo.keep(b, v)
	}
	return v
}

func logical(c *column, b []byte, f *layer.Feature) any {
	b = trim(b)
	if len(b) == 0 || b[0] == '?' {
		return nil
	}
	switch b[0] {
	case 'T', 't', 'Y', 'y', '1':
		return true
	case 'F', 'f', 'N', 'n', '0':
		return false
	}
	addFault(f, c, "logical-unreadable", fmt.Sprintf("逻辑值 %q 不能识别，按空值处理", shown(b)), fmt.Sprintf("the logical value %q is not readable and is taken as missing", shown(b)))
	return nil
}

// date reads YYYYMMDD, or YYYY-MM-DD with any separator where the field is wide
// enough for it.
func date(c *column, b []byte, f *layer.Feature) any {
	b = trim(b)
	if len(bytes.Trim(b, "0 -/.")) == 0 {
		return nil
	}
	var d [8]byte
	n, ok := 0, len(b) <= 10
	for _, x := range b {
		switch {
		case x >= '0' && x <= '9' && n < 8:
			d[n] = x
			n++
		case (x == '-' || x == '/' || x == '.') && (n == 4 || n == 6):
		default:
			ok = false
		}
	}
	if ok && n == 8 {
		year, month, day := digits(d[:4]), digits(d[4:6]), digits(d[6:])
		t := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
		// A day that the month does not have leads into another month.
		if year > 0 && int(t.Month()) == month {
			return t
		}
	}
	addFault(f, c, "date-unreadable", fmt.Sprintf("日期 %q 无效，按空值处理", shown(b)), fmt.Sprintf("the date %q is not valid and is taken as missing", shown(b)))
	return nil
}

// timestamp reads a Julian day number and the milliseconds of the day.
func timestamp(c *column, b []byte, f *layer.Feature) any {
	const (
		unixEpoch = 2440588 // 1970-01-01
		firstDay  = 1721426 // 0001-01-01
		lastDay   = 5373484 // 9999-12-31
		dayMillis = 86400000
	)
	day, ms := int64(int32(le.Uint32(b))), int64(int32(le.Uint32(b[4:])))
	if day == 0 && ms == 0 || len(trim(b)) == 0 {
		return nil
	}
	if day < firstDay || day > lastDay || ms < 0 || ms >= dayMillis {
		addFault(f, c, "date-unreadable", "日期时间值无效，按空值处理", "the date and time is not valid and is taken as missing")
		return nil
	}
	return time.UnixMilli((day-unixEpoch)*dayMillis + ms).UTC()
}

func digits(b []byte) int {
	n := 0
	for _, c := range b {
		n = n*10 + int(c-'0')
	}
	return n
}

// trimRight removes trailing spaces and NULs. No character of GB 18030, Big5 or
// UTF-8 ends in one.
func trimRight(b []byte) []byte {
	n := len(b)
	// Fields are mostly padding: eight spaces at a time.
	for n >= 8 && le.Uint64(b[n-8:]) == 0x2020202020202020 {
		n -= 8
	}
	for n > 0 && (b[n-1] == ' ' || b[n-1] == 0) {
		n--
	}
	return b[:n]
}

func trim(b []byte) []byte {
	b = trimRight(b)
	for len(b) > 0 && (b[0] == ' ' || b[0] == 0) {
		b = b[1:]
	}
	return b
}

func unreadable(f *layer.Feature, c *column, b []byte, reason numberFault) {
	if reason == tooBig {
		addFault(f, c, "number-overflow", fmt.Sprintf("数值 %q 超出字段类型的范围，按空值处理", shown(b)),
			fmt.Sprintf("the number %q is beyond the range of the field's type and is taken as missing", shown(b)))
		return
	}
	addFault(f, c, "number-unreadable", fmt.Sprintf("%q 不是该字段类型的数值，按空值处理", shown(b)),
		fmt.Sprintf("%q is not a number of the field's type and is taken as missing", shown(b)))
}

func addFault(f *layer.Feature, c *column, code, zh, en string) {
	f.Faults = append(f.Faults, layer.Fault{Row: f.Row, Field: c.name, Code: code, ZH: zh, EN: en})
}

// shown makes bytes fit to be quoted in a message.
func shown(b []byte) string {
	if len(b) > 40 {
		b = b[:40]
	}
	return string(bytes.ToValidUTF8(b, []byte("\uFFFD")))
}
