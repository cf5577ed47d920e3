package gdal

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf16"

	"changde/problem"
)

var (
	dxfVersion  = regexp.MustCompile(`\$ACADVER\s+1\s+(AC\d{4})`)
	dxfCodePage = regexp.MustCompile(`\$DWGCODEPAGE\s+3\s+(\S+)`)
)

// firstUnicode is the version of AutoCAD 2007, since which a DXF is UTF-8 whatever its
// $DWGCODEPAGE says.
const firstUnicode = "AC1021"

// stageDXF makes a copy in UTF-8 of a drawing that has other text, or escapes for
// characters its code page lacks, which GDAL leaves as they are.
func (c *conversion) stageDXF(ctx context.Context) error {
	c.from.config = []string{"DXF_ENCODING=UTF-8"}
	c.note("arc-linearised", "圆弧、圆、椭圆和样条已按每 1° 圆心角折线化", "arcs, circles, ellipses and splines are lines with a vertex at each degree of arc")
	head, err := readHead(c.source.Path)
	if err != nil {
		return c.unreadable(err)
	}
	if bytes.HasPrefix(head, []byte(binaryDXF)) {
		return problem.New(problem.Unsupported, "dxf-binary", c.source.Name,
			"这是二进制 DXF，GDAL 不能读取；请另存为文本（ASCII）DXF", "this is a binary DXF, which GDAL does not read; save it as text (ASCII) DXF")
	}
	declared, where := "", "$DWGCODEPAGE "
	if m := dxfVersion.FindSubmatch(head); m != nil && string(m[1]) >= firstUnicode {
		declared, where = utf8Name, fmt.Sprintf("$ACADVER %s（AutoCAD 2007 起为 Unicode）", m[1])
	} else if m := dxfCodePage.FindSubmatch(head); m != nil {
		declared = string(m[1])
	}
	var s survey
	if err := c.surveyFile(ctx, c.source.Path, &s); err != nil {
		return err
	}
	s.end()
	if c.from.encoding, err = decide(c.source.Encoding, declared, where, &s); err != nil {
		return err
	}
	if s.escapes == 0 && (s.high == 0 || c.from.encoding.Name == utf8Name && s.badRunes == 0) {
		return nil
	}
	f, err := os.Open(c.source.Path)
	if err != nil {
		return c.unreadable(err)
	}
	defer f.Close()
	var lost lossy
	err = c.copyTo(filepath.Base(c.source.Path), func(w *bufio.Writer) error {
		return copyDXF(w, io.TeeReader(decoded(&patient{ctx: ctx, r: f}, c.from.encoding.Name), &lost))
	})
	c.noteLost(lost.n)
	return err
}

// copyDXF copies a drawing line by line and resolves its escapes.
func copyDXF(w *bufio.Writer, r io.Reader) error {
	b := bufio.NewReaderSize(r, 64<<10)
	for {
		line, err := b.ReadSlice('\n')
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
		if bytes.IndexByte(line, '\\') >= 0 {
			if _, werr := w.WriteString(unescape(string(line))); werr != nil {
				return werr
			}
		} else if _, werr := w.Write(line); werr != nil {
			return werr
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
	}
}

var dxfEscape = regexp.MustCompile(`(?:\\[Uu]\+[0-9A-Fa-f]{4})+|\\[Mm]\+[1235][0-9A-Fa-f]{4}`)

// mifPages are the code pages of \M+n.
var mifPages = map[byte]string{'1': "932", '2': "950", '3': "949", '5': "936"}

// unescape resolves \U+XXXX, where two may make one character, and \M+nXXXX. What
// stands for ASCII stays, because it could be taken for formatting.
func unescape(line string) string {
	return dxfEscape.ReplaceAllStringFunc(line, func(s string) string {
		if s[1] == 'M' || s[1] == 'm' {
			_, e, _ := canonical(mifPages[s[3]])
			code, err := strconv.ParseUint(s[4:8], 16, 16)
			if err != nil || e == nil {
				return s
			}
			text, err := e.NewDecoder().String(string([]byte{byte(code >> 8), byte(code)}))
			if err != nil || strings.ContainsRune(text, '�') || text < "\u00A0" {
				return s
			}
			return text
		}
		var units []uint16
		for i := 3; i < len(s); i += len(`\U+XXXX`) {
			u, err := strconv.ParseUint(s[i:i+4], 16, 16)
			if err != nil || u < 0xA0 {
				return s
			}
			units = append(units, uint16(u))
		}
		text := string(utf16.Decode(units))
		if strings.ContainsRune(text, '�') {
			return s
		}
		return text
	})
}
