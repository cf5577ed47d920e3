package gdal

import (
	"archive/zip"
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"html"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"

	"changde/problem"
)

// kmlFields are the fields the driver makes of a placemark's own elements.
var kmlFields = []string{"name", "description", "timestamp", "begin", "end", "altitudemode", "tessellate", "extrude", "visibility", "draworder", "icon", "snippet"}

// plainName is a name that LIBKML takes as it is.
var plainName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// tokenPrefix begins the names that stand for those LIBKML garbles.
const tokenPrefix = "changde_field_"

// copyKML copies a KML in UTF-8. LIBKML makes "_" of every byte that is not ASCII in
// the name of a Data element and mixes fields up with a placemark's own elements of
// the same name; such names are replaced by tokens, which renames turns back.
func (c *conversion) copyKML(w *bufio.Writer, r io.Reader) error {
	b := bufio.NewReaderSize(r, headSize)
	if err := declareUTF8(w, b); err != nil {
		return err
	}
	var schema, data bool
	var both int64
	defer func() {
		if both > 0 {
			c.note("kml-data-lost", fmt.Sprintf("%d 个地标同时有 SchemaData 和 Data，GDAL 只读取前者", both), fmt.Sprintf("%d placemarks have both SchemaData and Data; GDAL reads the former alone", both))
		}
	}()
	for {
		text, err := b.ReadSlice('<')
		if _, werr := w.Write(text); werr != nil {
			return werr
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil:
			return err
		}
		if head, _ := b.Peek(8); bytes.HasPrefix(head, []byte("!--")) {
			err = copyUntil(w, b, "-->")
		} else if bytes.HasPrefix(head, []byte("![CDATA[")) {
			err = copyUntil(w, b, "]]>")
		} else {
			var tag string
			if tag, err = readTag(b); err == nil || errors.Is(err, io.EOF) {
				switch localName(tag) {
				case "ExtendedData":
					schema, data = false, false
				case "SchemaData":
					schema = true
				case "Data":
					data = true
					tag = c.token(tag, true)
				case "SimpleField", "SimpleData", "SimpleArrayField", "SimpleArrayData":
					tag = c.token(tag, false)
				case "/ExtendedData":
					if schema && data {
						both++
					}
				}
				if _, werr := w.WriteString(tag); werr != nil {
					return werr
				}
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// copyUntil copies up to and with an end mark of three bytes.
func copyUntil(w *bufio.Writer, b *bufio.Reader, end string) error {
	var last [3]byte
	for string(last[:]) != end {
		x, err := b.ReadByte()
		if err != nil {
			return err
		}
		last[0], last[1], last[2] = last[1], last[2], x
		if err := w.WriteByte(x); err != nil {
			return err
		}
	}
	return nil
}

// maxTag bounds what is looked at of one tag; a longer one is passed on as it is.
const maxTag = 64 << 10

// readTag reads from behind "<" to ">", which may stand in quotes.
func readTag(b *bufio.Reader) (string, error) {
	var tag []byte
	var quote byte
	for len(tag) < maxTag {
		x, err := b.ReadByte()
		if err != nil {
			return string(tag), err
		}
		tag = append(tag, x)
		switch {
		case quote != 0 && x == quote:
			quote = 0
		case quote == 0 && (x == '"' || x == '\''):
			quote = x
		case quote == 0 && x == '>':
			return string(tag), nil
		}
	}
	return string(tag), nil
}

// localName is the name of a tag without prefix, "/" before that of an end tag.
func localName(tag string) string {
	end := ""
	if strings.HasPrefix(tag, "/") {
		tag, end = tag[1:], "/"
	}
	if i := strings.IndexAny(tag, " \t\r\n/>"); i >= 0 {
		tag = tag[:i]
	}
	return end + tag[strings.IndexByte(tag, ':')+1:]
}

var nameAttribute = regexp.MustCompile(`(\sname\s*=\s*)(?:"([^"]*)"|'([^']*)')`)

// token replaces the name in a tag where LIBKML would garble it.
func (c *conversion) token(tag string, untyped bool) string {
	m := nameAttribute.FindStringSubmatchIndex(tag)
	if m == nil {
		return tag
	}
	from, to := m[4], m[5]
	if from < 0 {
		from, to = m[6], m[7]
	}
	name := strings.TrimSpace(html.UnescapeString(tag[from:to]))
	own := false
	for _, f := range kmlFields {
		own = own || strings.EqualFold(f, name)
	}
	if name == "" || !own && (!untyped || plainName.MatchString(name)) {
		return tag
	}
	for t, n := range c.from.tokens {
		if n == name {
			return tag[:from] + t + tag[to:]
		}
	}
	if len(c.from.tokens) >= maxFields {
		return tag
	}
	if c.from.tokens == nil {
		c.from.tokens = map[string]string{}
	}
	t := tokenPrefix + strconv.Itoa(len(c.from.tokens)+1)
	c.from.tokens[t] = name
	return tag[:from] + t + tag[to:]
}

// renames gives the fields of a layer that are staged under tokens their names back,
// made different where the layer has another field of that name in either case.
func (s *staged) renames(l info) map[string]string {
	taken := map[string]bool{}
	for _, f := range l.fields {
		if s.tokens[f.Name] == "" {
			taken[strings.ToLower(f.Name)] = true
		}
	}
	out := map[string]string{}
	for _, f := range l.fields {
		if name := s.tokens[f.Name]; name != "" {
			name = unused(taken, name)
			taken[strings.ToLower(name)] = true
			out[f.Name] = name
		}
	}
	return out
}

// Bounds of a KMZ.
const (
	maxKMZDirectory = 4 << 20
	maxKMZFiles     = 200
)

// stageKMZ takes the KML files out of a KMZ: the one there is, or a new KMZ of all.
func (c *conversion) stageKMZ(ctx context.Context) error {
	if err := checkDirectory(c.source.Path); err != nil {
		return c.brokenKMZ(err)
	}
	archive, err := zip.OpenReader(c.source.Path)
	if err != nil {
		return c.brokenKMZ(err)
	}
	defer archive.Close()
	var files []*zip.File
	for _, f := range archive.File {
		f.Name = memberName(f)
		if strings.EqualFold(path.Ext(f.Name), ".kml") && f.Mode().IsRegular() {
			files = append(files, f)
		}
	}
	if len(files) == 0 || len(files) > maxKMZFiles {
		return problem.New(problem.Invalid, "gdal-failed", c.source.Name,
			fmt.Sprintf("KMZ 中有 %d 个 KML，应为 1 至 %d 个", len(files), maxKMZFiles), fmt.Sprintf("there are %d KML files in the KMZ, not 1 to %d", len(files), maxKMZFiles))
	}
	base := strings.TrimSuffix(filepath.Base(c.source.Path), filepath.Ext(c.source.Path))
	var lost lossy
	defer func() { c.noteLost(lost.n) }()
	if len(files) == 1 {
		return c.copyTo(base+".kml", func(w *bufio.Writer) error { return c.copyMember(ctx, w, files[0], &lost) })
	}
	return c.copyTo(base+".kmz", func(w *bufio.Writer) error {
		out := zip.NewWriter(w)
		for _, f := range files {
			member, err := out.CreateHeader(&zip.FileHeader{Name: f.Name, Method: zip.Store, Flags: 0x800})
			if err != nil {
				return err
			}
			b := bufio.NewWriterSize(member, 64<<10)
			if err := c.copyMember(ctx, b, f, &lost); err != nil {
				return err
			}
			if err := b.Flush(); err != nil {
				return err
			}
		}
		return out.Close()
	})
}

// memberName is the name of a member: of the Info-ZIP Unicode Path field, which the
// standard library does not read, else UTF-8, else GB18030.
func memberName(f *zip.File) string {
	const unicodePath, fixed = 0x7075, 5
	for extra := f.Extra; len(extra) >= 4; {
		id, n := binary.LittleEndian.Uint16(extra), int(binary.LittleEndian.Uint16(extra[2:]))
		if extra = extra[4:]; n > len(extra) {
			break
		}
		if id == unicodePath && n > fixed && extra[0] == 1 && utf8.Valid(extra[fixed:n]) {
			return string(extra[fixed:n])
		}
		extra = extra[n:]
	}
	if !utf8.ValidString(f.Name) {
		if s, err := simplifiedchinese.GB18030.NewDecoder().String(f.Name); err == nil {
			return s
		}
	}
	return f.Name
}

// copyMember copies one KML, which it reads twice: to find its encoding first.
func (c *conversion) copyMember(ctx context.Context, w *bufio.Writer, f *zip.File, lost *lossy) error {
	var s survey
	var head bytes.Buffer
	for first := true; ; first = false {
		r, err := f.Open()
		if err != nil {
			return c.brokenKMZ(err)
		}
		if first {
			_, err = io.Copy(io.MultiWriter(&s, &limitedHead{&head}), &patient{ctx: ctx, r: io.LimitReader(r, c.limits.Size)})
		} else {
			err = c.copyKML(w, io.TeeReader(decoded(&patient{ctx: ctx, r: r}, c.from.encoding.Name), lost))
		}
		r.Close()
		switch {
		case errors.Is(err, zip.ErrFormat), errors.Is(err, zip.ErrChecksum), errors.Is(err, io.ErrUnexpectedEOF):
			return c.brokenKMZ(err)
		case err != nil || !first:
			return err
		}
		s.end()
		declared := xmlEncodingOf(head.Bytes())
		if strings.HasPrefix(declared, "utf-16") {
			s = survey{high: 1}
		}
		if declared == "" {
			declared = utf8Name
		}
		if c.from.encoding, err = decide(c.source.Encoding, declared, "XML 声明", &s); err != nil {
			return err
		}
	}
}

// limitedHead keeps the first bytes.
type limitedHead struct{ buf *bytes.Buffer }

func (l *limitedHead) Write(p []byte) (int, error) {
	l.buf.Write(p[:min(len(p), max(0, headSize-l.buf.Len()))])
	return len(p), nil
}

func (c *conversion) brokenKMZ(err error) error {
	return problem.Wrap(err, problem.Invalid, "gdal-failed", c.source.Name, "KMZ 压缩包已损坏或过大，请重新导出", "the zip of the KMZ is damaged or too large; export it again")
}

// checkDirectory bounds the directory of a zip before the standard library reads all
// of it into memory.
func checkDirectory(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	const fixed, most = 22, 22 + 0xFFFF
	tail := make([]byte, min(info.Size(), most))
	if _, err := f.ReadAt(tail, info.Size()-int64(len(tail))); err != nil {
		return err
	}
	i := bytes.LastIndex(tail, []byte("PK\x05\x06"))
	if i < 0 || i+fixed > len(tail) {
		return zip.ErrFormat
	}
	end := info.Size() - int64(len(tail)) + int64(i)
	u32 := func(at int) int64 {
		return int64(tail[at]) | int64(tail[at+1])<<8 | int64(tail[at+2])<<16 | int64(tail[at+3])<<24
	}
	if size, offset := u32(i+12), u32(i+16); size > maxKMZDirectory || end-offset > maxKMZDirectory+most || offset > end {
		return errors.New("the directory is too large")
	}
	return nil
}
