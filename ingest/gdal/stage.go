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
	"strings"
	"syscall"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"changde/ingest/layer"
	"changde/problem"
)

// staged is what the child is given to read: the source itself, or a copy of ours in
// which the text is what GDAL understands.
type staged struct {
	dir      string // working folder of the child
	path     string // from dir
	config   []string
	open     []string // options of ogrinfo and ogr2ogr for the driver
	encoding Encoding
	notes    []layer.Fault
	tokens   map[string]string // field name by the token that stands for it
}

// stage decides the encoding and prepares the source.
func (c *conversion) stage(ctx context.Context) error {
	rel, err := filepath.Rel(c.source.Dir, c.source.Path)
	if err != nil {
		return fmt.Errorf("convert %s: %w", c.source.Name, err)
	}
	c.from = staged{dir: c.source.Dir, path: "./" + filepath.ToSlash(rel)}
	switch c.source.Format.Name {
	case FileGDB:
		c.from.encoding = Encoding{utf8Name, "文件地理数据库规定文本为 Unicode。", "Text of a file geodatabase is Unicode by its format."}
		return c.stageZippedGDB()
	case FlatGeobuf:
		c.from.encoding = Encoding{utf8Name, "FlatGeobuf 规定文本为 UTF-8。", "Text of FlatGeobuf is UTF-8 by its format."}
		return nil
	case DXF:
		return c.stageDXF(ctx)
	case MIF, TAB:
		return c.stageMapInfo(ctx)
	case KMZ:
		return c.stageKMZ(ctx)
	case KML, GPX, GML:
		return c.stageXML(ctx)
	}
	return fmt.Errorf("convert %s: the format %q is not known", c.source.Name, c.source.Format.Name)
}

// stageZippedGDB names the folder within a zip.
func (c *conversion) stageZippedGDB() error {
	f, err := os.Open(c.source.Path)
	if err != nil {
		return c.unreadable(err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.IsDir() {
		return err
	}
	head := make([]byte, headSize)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return c.unreadable(err)
	}
	folder := zippedGeodatabase(head[:n])
	if folder == "" || strings.ContainsAny(c.from.path, "{}") {
		return problem.New(problem.Invalid, "gdal-failed", c.source.Name, "压缩包中没有 .gdb 文件夹", "there is no folder .gdb in the zip")
	}
	c.from.path = "/vsizip/{" + c.from.path + "}/" + folder
	return nil
}

// unreadable tells the sender's trouble from ours.
func (c *conversion) unreadable(err error) error {
	return fmt.Errorf("read %s: %w", c.source.Name, err)
}

// surveyFile looks at the bytes of a whole file.
func (c *conversion) surveyFile(ctx context.Context, path string, s *survey) error {
	f, err := os.Open(path)
	if err != nil {
		return c.unreadable(err)
	}
	defer f.Close()
	if _, err := io.Copy(s, &patient{ctx: ctx, r: f}); err != nil {
		return c.unreadable(err)
	}
	return nil
}

// patient is a reader that ends with its context.
type patient struct {
	ctx context.Context
	r   io.Reader
}

func (p *patient) Read(b []byte) (int, error) {
	if err := p.ctx.Err(); err != nil {
		return 0, context.Cause(p.ctx)
	}
	return p.r.Read(b)
}

// copyTo makes the file the child is given instead of the source. It is bounded as the
// files of the child are.
func (c *conversion) copyTo(name string, write func(w *bufio.Writer) error) error {
	f, err := os.OpenFile(filepath.Join(c.in, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return c.copyError(err)
	}
	w := bufio.NewWriterSize(&limitedWriter{w: f, left: c.limits.Size}, 256<<10)
	err = write(w)
	if ferr := w.Flush(); err == nil {
		err = ferr
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return c.copyError(err)
	}
	c.from.dir, c.from.path = c.in, "./"+name
	return nil
}

func (c *conversion) copyError(err error) error {
	var p *problem.Error
	switch {
	case errors.As(err, &p):
		return err
	case errors.Is(err, errTooLarge):
		return problem.New(problem.TooLarge, "gdal-size", c.source.Name,
			fmt.Sprintf("文件解压或转码后超过 %s，请拆分后分批交付", bytesText(c.limits.Size)), fmt.Sprintf("unpacked or recoded, the file exceeds %s; deliver it in parts", bytesText(c.limits.Size)))
	case errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("convert %s: no space left on the disk of the server （服务器磁盘已满）: %w", c.source.Name, err)
	}
	return fmt.Errorf("convert %s: %w", c.source.Name, err)
}

// limitedWriter fails beyond a bound.
type limitedWriter struct {
	w    io.Writer
	left int64
}

func (l *limitedWriter) Write(p []byte) (int, error) {
	if l.left -= int64(len(p)); l.left < 0 {
		return 0, errTooLarge
	}
	return l.w.Write(p)
}

// decoded reads a text of an encoding as UTF-8; bytes that mean nothing become
// U+FFFD.
func decoded(r io.Reader, name string) io.Reader {
	_, e, ok := canonical(name)
	switch {
	case !ok || e == nil:
		// Also drops a mark of byte order, and mends what is not UTF-8.
		return transform.NewReader(r, unicode.UTF8BOM.NewDecoder())
	case strings.HasPrefix(name, "utf-16"):
		return transform.NewReader(r, unicode.BOMOverride(e.NewDecoder()))
	}
	return transform.NewReader(r, e.NewDecoder())
}

// lossy counts the characters lost in decoding while a text passes.
type lossy struct {
	n    int64
	last [2]byte
}

func (l *lossy) Write(p []byte) (int, error) {
	for _, b := range p {
		if b == 0xBD && l.last[0] == 0xEF && l.last[1] == 0xBF {
			l.n++
		}
		l.last[0], l.last[1] = l.last[1], b
	}
	return len(p), nil
}

func (c *conversion) noteLost(n int64) {
	if n > 0 {
		c.note("text-undecodable", fmt.Sprintf("有 %d 处字节不能按 %s 解释，以“�”代替", n, c.from.encoding.Name),
			fmt.Sprintf("%d bytes or sequences mean nothing in %s and are shown as \"�\"", n, c.from.encoding.Name))
	}
}

var xmlDeclaration = regexp.MustCompile(`^\s*<\?xml\s[^>]*?\?>`)

var xmlEncoding = regexp.MustCompile(`\sencoding\s*=\s*["']([A-Za-z0-9._:-]+)["']`)

// xmlEncodingOf is the encoding an XML declares by its mark of byte order or in its
// first line, empty without.
func xmlEncodingOf(head []byte) string {
	switch {
	case bytes.HasPrefix(head, []byte{0xFF, 0xFE}):
		return "utf-16le"
	case bytes.HasPrefix(head, []byte{0xFE, 0xFF}):
		return "utf-16be"
	}
	head = bytes.TrimPrefix(head, []byte("\xEF\xBB\xBF"))
	d := xmlDeclaration.Find(head)
	if m := xmlEncoding.FindSubmatch(d); m != nil {
		return string(m[1])
	}
	return ""
}

// stageXML makes a copy of an XML in UTF-8 if it is something else, which the parsers
// of GDAL would refuse, or a KML with names of fields that GDAL would garble.
func (c *conversion) stageXML(ctx context.Context) error {
	head, err := readHead(c.source.Path)
	if err != nil {
		return c.unreadable(err)
	}
	declared := xmlEncodingOf(head)
	var s survey
	if err := c.surveyFile(ctx, c.source.Path, &s); err != nil {
		return err
	}
	s.end()
	if strings.HasPrefix(declared, "utf-16") {
		s = survey{high: 1} // the counts are about bytes
	}
	if declared == "" {
		declared = utf8Name // XML 1.0, 4.3.3
	}
	if c.from.encoding, err = decide(c.source.Encoding, declared, "XML 声明", &s); err != nil {
		return err
	}
	switch c.source.Format.Name {
	case GPX:
		c.from.config = []string{"GPX_ELE_AS_25D=YES"}
	case GML:
		c.from.open = []string{"-oo", "WRITE_GFS=NO", "-oo", "DOWNLOAD_SCHEMA=NO"}
	}
	kml := c.source.Format.Name == KML
	if !kml && c.from.encoding.Name == utf8Name && strings.EqualFold(declared, utf8Name) && s.badRunes == 0 {
		return nil
	}
	f, err := os.Open(c.source.Path)
	if err != nil {
		return c.unreadable(err)
	}
	defer f.Close()
	name := filepath.Base(c.source.Path)
	if kml {
		name = strings.TrimSuffix(name, filepath.Ext(name)) + ".kml"
	}
	var lost lossy
	err = c.copyTo(name, func(w *bufio.Writer) error {
		r := io.TeeReader(decoded(&patient{ctx: ctx, r: f}, c.from.encoding.Name), &lost)
		if kml {
			return c.copyKML(w, r)
		}
		return copyXML(w, r)
	})
	c.noteLost(lost.n)
	return err
}

// copyXML copies a text in UTF-8 under a declaration that says so.
func copyXML(w *bufio.Writer, r io.Reader) error {
	b := bufio.NewReaderSize(r, headSize)
	if err := declareUTF8(w, b); err != nil {
		return err
	}
	_, err := io.Copy(w, b)
	return err
}

// declareUTF8 replaces the XML declaration.
func declareUTF8(w *bufio.Writer, b *bufio.Reader) error {
	head, err := b.Peek(1024)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if d := xmlDeclaration.Find(head); d != nil {
		if _, err := b.Discard(len(d)); err != nil {
			return err
		}
	}
	_, err = w.WriteString(`<?xml version="1.0" encoding="UTF-8"?>`)
	return err
}

func readHead(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	head := make([]byte, headSize)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return head[:n], nil
}
