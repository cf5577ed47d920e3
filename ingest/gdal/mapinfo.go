package gdal

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"changde/problem"
)

// mapInfoCharsets are MapInfo's names of encodings. Neutral says nothing.
var mapInfoCharsets = []struct{ charset, encoding string }{
	{"WindowsSimpChinese", "936"},
	{"WindowsTradChinese", "950"},
	{"WindowsJapanese", "932"},
	{"WindowsKorean", "949"},
	{"WindowsLatin1", "1252"},
	{"WindowsLatin2", "1250"},
	{"WindowsCyrillic", "1251"},
	{"WindowsGreek", "1253"},
	{"WindowsTurkish", "1254"},
	{"WindowsHebrew", "1255"},
	{"WindowsArabic", "1256"},
	{"WindowsBalticRim", "1257"},
	{"WindowsThai", "874"},
	{"ISO8859-1", "iso-8859-1"},
	{"UTF-8", "utf-8"},
	{"UTF-16", "utf-16le"},
}

const neutral = "Neutral"

// charsetOf is what GDAL must be told for it to read an encoding. It recodes what it
// knows a name for, and passes Neutral on byte for byte, which is right for UTF-8.
func charsetOf(encoding string) string {
	if encoding == utf8Name {
		return neutral
	}
	for _, m := range mapInfoCharsets {
		if name, _, ok := canonical(m.encoding); ok && name == encoding && !strings.HasPrefix(m.charset, "UTF") {
			return m.charset
		}
	}
	return ""
}

var (
	mifCharset = regexp.MustCompile(`(?im)^([ \t]*Charset[ \t]+")([^"\r\n]*)(")`)
	tabCharset = regexp.MustCompile(`(?im)^(!charset[ \t]+)([^ \t\r\n]+)()`)
	tabType    = regexp.MustCompile(`(?im)^([ \t]*Type[ \t]+[A-Za-z]+[ \t]+Charset[ \t]+")([^"\r\n]*)(")`)
)

// stageMapInfo decides the encoding. Where the file declares another, the child is
// given a copy of the text that declares it, beside links to the other files.
func (c *conversion) stageMapInfo(ctx context.Context) error {
	head, err := readHead(c.source.Path)
	if err != nil {
		return c.unreadable(err)
	}
	parts := c.parts()
	declaration, values := mifCharset, parts[".mid"]
	tab := c.source.Format.Name == TAB
	if tab {
		declaration, values = tabType, parts[".dat"]
		if values == "" {
			return problem.New(problem.Invalid, "mapinfo-parts", c.source.Name, "缺少同名的 .dat 文件；TAB 须与 .dat、.map、.id 一起交付", "the .dat of the same name is missing; deliver the .tab with .dat, .map and .id")
		}
		if tabType.Find(head) == nil {
			declaration = tabCharset
		}
	}
	charset := ""
	if m := declaration.FindSubmatch(head); m != nil {
		charset = string(m[2])
	}
	declared := charset
	for _, m := range mapInfoCharsets {
		if strings.EqualFold(m.charset, charset) {
			declared = m.encoding
		}
	}
	if strings.EqualFold(charset, neutral) {
		declared = ""
	}
	var s survey
	s.Write(mapInfoHead(head, tab))
	switch {
	case values == "":
	case tab:
		err = surveyDAT(values, &s)
	default:
		err = c.surveyFile(ctx, values, &s)
	}
	if err != nil {
		return err
	}
	s.end()
	if c.from.encoding, err = decide(c.source.Encoding, declared, "Charset ", &s); err != nil {
		return err
	}
	wanted := charsetOf(c.from.encoding.Name)
	if wanted == "" {
		return problem.New(problem.Unsupported, "charset-unknown", c.source.Name,
			fmt.Sprintf("GDAL 不能按 %s 读取 MapInfo 文件，请另存为 GBK 或 UTF-8", c.from.encoding.Name), fmt.Sprintf("GDAL does not read MapInfo files in %s; save it as GBK or UTF-8", c.from.encoding.Name))
	}
	if strings.EqualFold(charset, wanted) || s.high == 0 {
		return nil
	}
	return c.redeclare(ctx, head, wanted, tab, parts)
}

// mapInfoHead is the part of the text that is names, not coordinates.
func mapInfoHead(head []byte, tab bool) []byte {
	if tab {
		return head
	}
	if i := bytes.Index(bytes.ToLower(head), []byte("\ndata")); i >= 0 {
		return head[:i]
	}
	return head
}

// parts are the files beside the source of the same name, by lower case extension.
func (c *conversion) parts() map[string]string {
	out := map[string]string{}
	dir, file := filepath.Split(c.source.Path)
	base := strings.TrimSuffix(file, filepath.Ext(file))
	d, err := os.Open(dir)
	if err != nil {
		return out
	}
	defer d.Close()
	for range 1000 {
		names, err := d.Readdirnames(1000)
		for _, n := range names {
			ext := filepath.Ext(n)
			if !strings.EqualFold(strings.TrimSuffix(n, ext), base) {
				continue
			}
			for _, p := range c.source.Format.Parts {
				if strings.EqualFold(p, ext) {
					out[p] = filepath.Join(dir, n)
				}
			}
		}
		if err != nil {
			break
		}
	}
	return out
}

// redeclare gives the child the text under another charset.
func (c *conversion) redeclare(ctx context.Context, head []byte, charset string, tab bool, parts map[string]string) error {
	replace := func(b []byte, r *regexp.Regexp) []byte { return r.ReplaceAll(b, []byte("${1}"+charset+"${3}")) }
	changed := head
	switch {
	case tab:
		changed = replace(replace(head, tabType), tabCharset)
	case mifCharset.Match(head):
		changed = replace(head, mifCharset)
	default: // after the line of the version, without which it is no MIF
		i := bytes.IndexByte(head, '\n') + 1
		changed = []byte(string(head[:i]) + `Charset "` + charset + `"` + "\r\n" + string(head[i:]))
	}
	name := filepath.Base(c.source.Path)
	base := strings.TrimSuffix(name, filepath.Ext(name))
	for ext, file := range parts {
		// Landlock looks at what a link leads to.
		if err := os.Symlink(file, filepath.Join(c.in, base+ext)); err != nil {
			return c.copyError(err)
		}
	}
	f, err := os.Open(c.source.Path)
	if err != nil {
		return c.unreadable(err)
	}
	defer f.Close()
	if _, err := f.Seek(int64(len(head)), io.SeekStart); err != nil {
		return c.unreadable(err)
	}
	return c.copyTo(base+strings.ToLower(filepath.Ext(name)), func(w *bufio.Writer) error {
		if _, err := w.Write(changed); err != nil {
			return err
		}
		_, err := io.Copy(w, &patient{ctx: ctx, r: f})
		return err
	})
}

// datSample is how many bytes of the values of a TAB are looked at.
const datSample = 16 << 20

// surveyDAT looks at the text fields of a .dat, which is built like a dBASE file: the
// numbers in it are binary and would count as text.
func surveyDAT(path string, s *survey) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	var head [32]byte
	if _, err := io.ReadFull(f, head[:]); err != nil {
		return nil // GDAL tells what is wrong
	}
	size, record := int(binary.LittleEndian.Uint16(head[8:])), int(binary.LittleEndian.Uint16(head[10:]))
	if size < 64 || record < 2 {
		return nil
	}
	fields := make([]byte, size-32)
	if _, err := io.ReadFull(f, fields); err != nil {
		return nil
	}
	type span struct{ from, to int }
	var text []span
	at := 1
	for i := 0; i+32 <= len(fields) && fields[i] != '\r'; i += 32 {
		n := int(fields[i+16])
		if fields[i+11] == 'C' && at+n <= record {
			text = append(text, span{at, at + n})
		}
		at += n
	}
	r := bufio.NewReaderSize(io.LimitReader(f, datSample), 64<<10)
	row := make([]byte, record)
	for {
		if _, err := io.ReadFull(r, row); err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				return nil
			}
			return err
		}
		for _, t := range text {
			s.Write(bytes.TrimRight(row[t.from:t.to], "\x00 "))
			s.end() // a value ends where its field does
		}
	}
}
