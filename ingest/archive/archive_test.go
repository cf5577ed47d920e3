package archive

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/encoding/simplifiedchinese"

	"changde/problem"
)

// member is one entry of an archive under construction.
type member struct {
	name   string
	data   string
	header func(*zip.FileHeader)
}

func gbk(t testing.TB, s string) string {
	t.Helper()
	out, err := simplifiedchinese.GBK.NewEncoder().String(s)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// pack makes a zip file; names are written as the bytes given, and flag bit 11
// is set only where header sets it.
func pack(t testing.TB, members ...member) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for _, m := range members {
		h := &zip.FileHeader{Name: m.name, Method: zip.Deflate, NonUTF8: true}
		if m.header != nil {
			m.header(h)
		}
		f, err := w.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(m.name, "/") {
			if _, err := io.WriteString(f, m.data); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func unpack(t testing.TB, data []byte, l Limits) (string, []Member, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "交付.zip")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	members, err := Unpack(t.Context(), path, dir, l)
	return dir, members, err
}

// tree lists the files and folders below dir.
func tree(t testing.TB, dir string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && path != dir {
			rel, _ := filepath.Rel(dir, path)
			out = append(out, rel)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestUnpack(t *testing.T) {
	t.Parallel()
	nested := pack(t, member{name: "inner.txt", data: "inner"})
	utf8Flag := func(h *zip.FileHeader) { h.NonUTF8 = false }
	withUnicodePath := func(raw, name string, sum uint32) member {
		extra := binary.LittleEndian.AppendUint16(nil, unicodePath)
		extra = binary.LittleEndian.AppendUint16(extra, uint16(5+len(name)))
		extra = append(extra, 1)
		extra = binary.LittleEndian.AppendUint32(extra, sum)
		extra = append(extra, name...)
		return member{name: raw, data: "x", header: func(h *zip.FileHeader) { h.Extra = extra }}
	}
	tests := []struct {
		name    string
		members []member
		want    []Member // Path is the same as Name
	}{
		{
			"names in GBK, the second with a backslash byte inside a character",
			[]member{{name: gbk(t, "数据/"), data: ""}, {name: gbk(t, "数据/县界.shp"), data: "shape"}, {name: gbk(t, "誠.dbf"), data: "table"}},
			[]Member{{Name: "数据/县界.shp", Size: 5, NameEncoding: "GB18030"}, {Name: "誠.dbf", Size: 5, NameEncoding: "GB18030"}},
		},
		{
			"one GBK name decides for its neighbours, not for flagged ones",
			[]member{{name: gbk(t, "模"), data: "a"}, {name: gbk(t, "常德"), data: "b"}, {name: "桃源.txt", data: "c", header: utf8Flag}},
			[]Member{{Name: "模", Size: 1, NameEncoding: "GB18030"}, {Name: "常德", Size: 1, NameEncoding: "GB18030"}, {Name: "桃源.txt", Size: 1, NameEncoding: "UTF-8"}},
		},
		{
			"UTF-8 without its flag",
			[]member{{name: "澧县.txt", data: "abc"}},
			[]Member{{Name: "澧县.txt", Size: 3, NameEncoding: "UTF-8"}},
		},
		{
			"a Unicode Path field wins while its sum fits",
			[]member{withUnicodePath("????.shp", "临澧.shp", crc32.ChecksumIEEE([]byte("????.shp"))), withUnicodePath("b.shp", "汉寿.shp", 1)},
			[]Member{{Name: "临澧.shp", Size: 1, NameEncoding: "UTF-8"}, {Name: "b.shp", Size: 1, NameEncoding: "UTF-8"}},
		},
		{
			"separators of Windows, dots and double slashes",
			[]member{{name: `a\b.txt`, data: "1"}, {name: "./c//d.txt", data: "22"}},
			[]Member{{Name: "a/b.txt", Size: 1, NameEncoding: "UTF-8"}, {Name: "c/d.txt", Size: 2, NameEncoding: "UTF-8"}},
		},
		{
			"litter left out, a zip inside kept shut",
			[]member{
				{name: "__MACOSX/._a.txt", data: "x"},
				{name: ".DS_Store", data: "x"},
				{name: "图/Thumbs.db", data: "x", header: utf8Flag},
				{name: "inner.zip", data: string(nested)},
			},
			[]Member{{Name: "inner.zip", Size: int64(len(nested)), NameEncoding: "UTF-8"}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir, got, err := unpack(t, pack(t, tt.members...), Limits{})
			if err != nil {
				t.Fatal(err)
			}
			for i := range tt.want {
				tt.want[i].Path = filepath.Join(dir, tt.want[i].Name)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			for _, m := range got {
				if info, err := os.Stat(m.Path); err != nil || info.Size() != m.Size {
					t.Errorf("%s: %v, %v", m.Path, info, err)
				}
			}
		})
	}
}

// patch replaces bytes in both headers of the one member of an archive.
func patch(data []byte, local, central int, bytesOf ...byte) []byte {
	out := bytes.Clone(data)
	copy(out[local:], bytesOf)
	copy(out[bytes.LastIndex(out, []byte("PK\x01\x02"))+central:], bytesOf)
	return out
}

func TestUnpackRefuses(t *testing.T) {
	t.Parallel()
	one := pack(t, member{name: "a.txt", data: strings.Repeat("常德 ", 100)})
	mode := func(m fs.FileMode) func(*zip.FileHeader) { return func(h *zip.FileHeader) { h.SetMode(m) } }
	many := make([]member, 10_000)
	for i := range many {
		many[i].name = fmt.Sprintf("%d.txt", i)
	}
	zeros := strings.Repeat("\x00", 20<<20)
	tests := []struct {
		name string
		data []byte
		l    Limits
		kind problem.Kind
		code string
		in   string // in the text
	}{
		{"parent", pack(t, member{name: "../evil"}), Limits{}, problem.Invalid, "zip-name", ".."},
		{"parent inside", pack(t, member{name: "a/../../evil"}), Limits{}, problem.Invalid, "zip-name", ".."},
		{"parent by backslash", pack(t, member{name: `..\evil`}), Limits{}, problem.Invalid, "zip-name", ".."},
		{"absolute", pack(t, member{name: "/etc/passwd"}), Limits{}, problem.Invalid, "zip-name", "absolute"},
		{"share", pack(t, member{name: `\\server\c`}), Limits{}, problem.Invalid, "zip-name", "absolute"},
		{"drive", pack(t, member{name: `C:\evil`}), Limits{}, problem.Invalid, "zip-name", "drive"},
		{"NUL", pack(t, member{name: "a.txt\x00.shp"}), Limits{}, problem.Invalid, "zip-name", "control"},
		{"newline", pack(t, member{name: "a\nb"}), Limits{}, problem.Invalid, "zip-name", "control"},
		{"right-to-left override", pack(t, member{name: "a\u202egpj.exe"}), Limits{}, problem.Invalid, "zip-name", "control"},
		{"no encoding", pack(t, member{name: "a\xff\xff"}), Limits{}, problem.Invalid, "zip-name", "GB18030"},
		{"long part", pack(t, member{name: strings.Repeat("a", 256)}), Limits{}, problem.Invalid, "zip-name", "255"},
		{"long path", pack(t, member{name: strings.Repeat("a/", 600)}), Limits{}, problem.Invalid, "zip-name", "1024"},
		{"symlink", pack(t, member{name: "a", data: "/etc/passwd", header: mode(fs.ModeSymlink | 0o777)}), Limits{}, problem.Unsupported, "zip-special-file", "symbolic"},
		{"device", pack(t, member{name: "a", header: mode(fs.ModeDevice | fs.ModeCharDevice)}), Limits{}, problem.Unsupported, "zip-special-file", "devices"},
		{"same name", pack(t, member{name: "a"}, member{name: "a"}), Limits{}, problem.Invalid, "zip-name", "collides"},
		{"same but for case", pack(t, member{name: "A.shp"}, member{name: "a.SHP"}), Limits{}, problem.Invalid, "zip-name", "collides"},
		{"same after composition", pack(t, member{name: "\u00e9"}, member{name: "e\u0301"}), Limits{}, problem.Invalid, "zip-name", "collides"},
		{"same after decoding", pack(t, member{name: gbk(t, "常德")}, member{name: "常德", header: func(h *zip.FileHeader) { h.NonUTF8 = false }}), Limits{}, problem.Invalid, "zip-name", "collides"},
		{"file is a folder", pack(t, member{name: "a"}, member{name: "a/b"}), Limits{}, problem.Invalid, "zip-name", "collides"},
		{"folder is a file", pack(t, member{name: "a/b"}, member{name: "A"}), Limits{}, problem.Invalid, "zip-name", "collides"},
		{"deep", pack(t, member{name: "1/2/3/4/5/6/7/8/9"}), Limits{}, problem.TooLarge, "zip-depth", "bound is 8"},
		{"many members", pack(t, many...), Limits{}, problem.TooLarge, "zip-members", "10000 members, the bound is 2000"},
		{"declared size", pack(t, member{name: "a", data: zeros}), Limits{Bytes: 1 << 20}, problem.TooLarge, "zip-bytes", "1 MiB"},
		{"ratio", pack(t, member{name: "a", data: zeros}), Limits{}, problem.TooLarge, "zip-ratio", "200 times"},
		{"encrypted", patch(one, 6, 8, 0x09, 0x00), Limits{}, problem.Unsupported, "zip-encrypted", "password"},
		{"Deflate64", patch(one, 8, 10, 9, 0), Limits{}, problem.Unsupported, "zip-method", "Deflate64"},
		{"empty archive", pack(t), Limits{}, problem.Invalid, "zip-empty", "no file"},
		{"only litter", pack(t, member{name: ".DS_Store"}), Limits{}, problem.Invalid, "zip-empty", "no file"},
		{"truncated", one[:len(one)-30], Limits{}, problem.Invalid, "zip-truncated", "cut off"},
		{"empty file", nil, Limits{}, problem.Invalid, "zip-truncated", "empty"},
		{"text", []byte("hello, this is not a zip archive at all"), Limits{}, problem.Invalid, "zip-not-zip", "not a zip"},
		{"RAR", []byte("Rar!\x1a\x07\x01\x00 and so on"), Limits{}, problem.Unsupported, "zip-other-format", "RAR"},
		{"7z", []byte("7z\xbc\xaf\x27\x1c and so on"), Limits{}, problem.Unsupported, "zip-other-format", "7z"},
		{"data in front", append([]byte("MZ"), one...), Limits{}, problem.Invalid, "zip-corrupt", "before or after"},
		{"checksum", patch(one, 14, 16, 1, 2, 3, 4), Limits{}, problem.Invalid, "zip-checksum", "CRC-32"},
		{"checksum 0", patch(one, 14, 16, 0, 0, 0, 0), Limits{}, problem.Invalid, "zip-checksum", "CRC-32"},
		{"lower size stated", patch(one, 22, 24, 5, 0, 0, 0), Limits{}, problem.Invalid, "zip-", "pack it again"},
		{"many stated", endPatch(one, 10, 0x10, 0x27), Limits{}, problem.TooLarge, "zip-members", "10000 members"},
		{"checksum 0 without a descriptor", noSum(t), Limits{}, problem.Invalid, "zip-checksum", "CRC-32"},
		{"second disk", endPatch(one, 4, 1, 0), Limits{}, problem.Unsupported, "zip-split", "split"},
		{"fewer entries stated", endPatch(pack(t, many[:50]...), 10, 1, 0), Limits{Members: 10}, problem.Invalid, "zip-corrupt", "entries"},
		{"huge directory", endPatch(one, 12, 0, 0, 0, 0x70), Limits{}, problem.TooLarge, "zip-directory", "bound"},
		{"comment cut off", endPatch(one, 20, 9, 0), Limits{}, problem.Invalid, "zip-truncated", "cut off"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir, members, err := unpack(t, tt.data, tt.l)
			p, ok := errors.AsType[*problem.Error](err)
			if !ok {
				t.Fatalf("got %v, %v, want a problem", members, err)
			}
			if p.Kind != tt.kind || !strings.HasPrefix(p.Code, tt.code) || !strings.Contains(p.EN+p.Where, tt.in) || p.ZH == "" || !strings.Contains(p.Where, "交付.zip") {
				t.Errorf("got %v %s %v", p.Kind, p.Code, p)
			}
			if left := tree(t, dir); left != nil {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func endPatch(data []byte, at int, b ...byte) []byte {
	out := bytes.Clone(data)
	copy(out[bytes.LastIndex(out, []byte("PK\x05\x06"))+at:], b)
	return out
}

// noSum makes an archive whose member has 0 for its checksum and no data descriptor,
// which the standard library does not check.
func noSum(t testing.TB) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	f, err := w.CreateRaw(&zip.FileHeader{Name: "a", Method: zip.Store, CompressedSize64: 4, UncompressedSize64: 4})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(f, "data"); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// overlapping makes the directory entries of two members point at one piece of data.
func overlapping(t testing.TB) []byte {
	data := pack(t, member{name: "a", data: "1234567890"}, member{name: "b", data: "1234567890"})
	second := bytes.LastIndex(data, []byte("PK\x01\x02"))
	copy(data[second+42:], []byte{0, 0, 0, 0})
	return data
}

func TestUnpackRefusesOverlap(t *testing.T) {
	t.Parallel()
	_, _, err := unpack(t, overlapping(t), Limits{})
	if p, ok := errors.AsType[*problem.Error](err); !ok || p.Code != "zip-overlap" {
		t.Fatal(err)
	}
}

// A directory of 70,000 entries whose end record claims 4,464 (the number modulo
// 65,536) must be refused without reading the entries into memory.
func TestUnpackCountsEntriesNotClaims(t *testing.T) {
	t.Parallel()
	var dir bytes.Buffer
	entry := make([]byte, directoryLength+1)
	binary.LittleEndian.PutUint32(entry, directorySignature)
	entry[28], entry[46] = 1, 'a'
	for range 65536 + 3 {
		dir.Write(entry)
	}
	end := make([]byte, endLength)
	binary.LittleEndian.PutUint32(end, endSignature)
	binary.LittleEndian.PutUint16(end[10:], 3)
	binary.LittleEndian.PutUint32(end[12:], uint32(dir.Len()))
	_, _, err := unpack(t, append(dir.Bytes(), end...), Limits{})
	if p, ok := errors.AsType[*problem.Error](err); !ok || p.Code != "zip-corrupt" {
		t.Fatal(err)
	}
}

func TestUnpackStopsWithContext(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.zip")
	if err := os.WriteFile(path, pack(t, member{name: "d/a", data: "x"}), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := t.TempDir()
	if _, err := Unpack(ctx, path, dir, Limits{}); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if left := tree(t, dir); left != nil {
		t.Errorf("left behind: %v", left)
	}
}

// A bad second member takes the good first one and its folder with it.
func TestUnpackLeavesNothing(t *testing.T) {
	t.Parallel()
	data := pack(t, member{name: "d/e/a", data: "good"}, member{name: "d/b", data: "bad"})
	data = patch(data, 0, 16, 9, 9, 9, 9)
	copy(data, "PK\x03\x04")
	dir, _, err := unpack(t, data, Limits{})
	if p, ok := errors.AsType[*problem.Error](err); !ok || p.Code != "zip-checksum" {
		t.Fatal(err)
	}
	if left := tree(t, dir); left != nil {
		t.Errorf("left behind: %v", left)
	}
}

func TestUnpackDoesNotOverwrite(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.zip")
	if err := os.WriteFile(path, pack(t, member{name: "a", data: "theirs"}), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a"), []byte("ours"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Unpack(t.Context(), path, dir, Limits{}); !errors.Is(err, fs.ErrExist) {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(filepath.Join(dir, "a")); string(got) != "ours" {
		t.Errorf("got %q", got)
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) {
	return 0, &fs.PathError{Op: "write", Path: "a", Err: syscall.ENOSPC}
}

func TestFullDiskStaysReadable(t *testing.T) {
	t.Parallel()
	u := unpacker{ctx: t.Context(), limits: Limits{}.withDefaults(), buf: make([]byte, 10)}
	_, err := u.copy(fullDisk{}, strings.NewReader("data"), entry{file: &zip.File{}}, "a.zip: b")
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "服务器磁盘已满") {
		t.Error(err)
	}
}

// The count of bytes while inflating does not depend on what headers declare.
func TestCopyCountsActualBytes(t *testing.T) {
	t.Parallel()
	u := unpacker{ctx: t.Context(), archive: "a.zip", limits: Limits{Bytes: 100}.withDefaults(), buf: make([]byte, 64)}
	_, err := u.copy(io.Discard, strings.NewReader(strings.Repeat("x", 101)), entry{file: &zip.File{}}, "a.zip: b")
	if p, ok := errors.AsType[*problem.Error](err); !ok || p.Code != "zip-bytes" {
		t.Error(err)
	}
}

func TestTenThousandMembersAreRefusedQuickly(t *testing.T) {
	t.Parallel()
	many := make([]member, 10_000)
	for i := range many {
		many[i] = member{name: fmt.Sprintf("%d.txt", i), data: strings.Repeat("x", 2000)}
	}
	data := pack(t, many...)
	start := time.Now()
	if _, _, err := unpack(t, data, Limits{}); err == nil {
		t.Fatal("no error")
	}
	if d := time.Since(start); d > 2*time.Second {
		t.Errorf("took %v", d)
	}
}

// Info-ZIP is the oracle for ordinary archives.
func TestUnpackInfoZIP(t *testing.T) {
	if _, err := exec.LookPath("zip"); err != nil {
		t.Skip("zip is not installed")
	}
	t.Parallel()
	src := t.TempDir()
	want := map[string]string{"数据/县界.shp": strings.Repeat("a", 100_000), "数据/县界.dbf": "", "readme.txt": "x"}
	for name, data := range want {
		path := filepath.Join(src, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "a.zip")
	cmd := exec.Command("zip", "-r", path, ".")
	cmd.Dir = src
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	members, err := Unpack(t.Context(), path, t.TempDir(), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]string)
	for _, m := range members {
		b, err := os.ReadFile(m.Path)
		if err != nil {
			t.Fatal(err)
		}
		got[m.Name] = string(b)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
