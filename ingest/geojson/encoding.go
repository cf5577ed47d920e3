package geojson

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/transform"

	"changde/problem"
)

// encoding is how the text of a file is written.
type encoding int

const (
	utf8Encoding encoding = iota
	utf8Damaged           // UTF-8 with some bytes that are not
	gb18030
)

var byteOrderMark = []byte{0xef, 0xbb, 0xbf}

// detect reads the whole file once to learn its encoding. RFC 7946 allows UTF-8
// only; GB18030 is what old Chinese programs write nevertheless.
func detect(ctx context.Context, f *os.File, where string) (encoding, error) {
	buf := make([]byte, 1<<20)
	n, at := 0, int64(0)
	for {
		if err := ctx.Err(); err != nil {
			return 0, fmt.Errorf("read %s: %w", where, err)
		}
		k, err := io.ReadFull(f, buf[n:])
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return 0, fmt.Errorf("read %s: %w", where, err)
		}
		last := err != nil
		if at == 0 {
			if err := refuseWide(buf[:k], where); err != nil {
				return 0, err
			}
		}
		whole := buf[:n+k]
		if !last {
			whole = whole[:len(whole)-incomplete(whole)]
		}
		if !utf8.Valid(whole) {
			return judge(ctx, f, at+int64(len(whole)), where)
		}
		if last {
			return utf8Encoding, nil
		}
		at += int64(len(whole))
		n = copy(buf, buf[len(whole):n+k])
	}
}

// incomplete is the number of bytes of a character that b ends within.
func incomplete(b []byte) int {
	for i := 1; i < utf8.UTFMax && i <= len(b); i++ {
		if c := b[len(b)-i]; utf8.RuneStart(c) {
			if !utf8.FullRune(b[len(b)-i:]) {
				return i
			}
			return 0
		}
	}
	return 0
}

func refuseWide(head []byte, where string) error {
	wide := ""
	switch {
	case bytes.HasPrefix(head, []byte{0xff, 0xfe}), bytes.HasPrefix(head, []byte{0xfe, 0xff}):
		wide = "UTF-16"
	case len(head) >= 2 && (head[0] == 0 || head[1] == 0):
		wide = "UTF-16/UTF-32"
	default:
		return nil
	}
	return problem.New(problem.Unsupported, "geojson-encoding", where,
		fmt.Sprintf("文件是 %s 编码；GeoJSON 规定用 UTF-8（RFC 7946），请另存为 UTF-8", wide),
		fmt.Sprintf("the file is encoded in %s; GeoJSON is UTF-8 (RFC 7946): save it as UTF-8", wide))
}

// judge tells GB18030 from damaged UTF-8 by what is in the majority in the first
// bytes of a file that is not valid UTF-8: characters of UTF-8 beyond ASCII, or bytes
// that are none. One damaged byte must not turn a whole file into nonsense that
// happens to decode.
func judge(ctx context.Context, f *os.File, limit int64, where string) (encoding, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return 0, fmt.Errorf("read %s: %w", where, err)
	}
	r := io.LimitReader(f, limit)
	buf := make([]byte, 64<<10)
	n, good, bad := 0, 0, 0
	for {
		k, err := r.Read(buf[n:])
		b := buf[:n+k]
		for len(b) > 0 && (utf8.FullRune(b) || err != nil) {
			c, size := utf8.DecodeRune(b)
			switch {
			case c == utf8.RuneError && size == 1:
				bad++
			case size > 1:
				good++
			}
			b = b[size:]
		}
		n = copy(buf, b)
		if err == io.EOF {
			break
		}
		if err != nil {
			return 0, fmt.Errorf("read %s: %w", where, err)
		}
	}
	if good >= bad {
		return utf8Damaged, nil
	}
	return gb18030, checkGB18030(ctx, f, where)
}

// checkGB18030 makes sure that a file decodes as GB18030 without a gap.
func checkGB18030(ctx context.Context, f *os.File, where string) error {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("read %s: %w", where, err)
	}
	r := decodeGB18030(f)
	buf := make([]byte, 256<<10)
	kept := 0 // U+FFFD may be cut by the end of the buffer
	for {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("read %s: %w", where, err)
		}
		n, err := r.Read(buf[kept:])
		if bytes.Contains(buf[:kept+n], []byte("\uFFFD")) {
			return problem.New(problem.Unsupported, "geojson-encoding", where,
				"文件既不是 UTF-8 也不是 GB18030/GBK 编码，请另存为 UTF-8", "the file is neither UTF-8 nor GB18030/GBK; save it as UTF-8")
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", where, err)
		}
		tail := min(2, kept+n)
		copy(buf, buf[kept+n-tail:kept+n])
		kept = tail
	}
}

func decodeGB18030(r io.Reader) io.Reader {
	return transform.NewReader(r, simplifiedchinese.GB18030.NewDecoder())
}
