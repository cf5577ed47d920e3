package archive

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"changde/problem"
)

// Records of APPNOTE.TXT 4.3: signature and length of the fixed part.
const (
	endSignature       = 0x06054b50 // 4.3.16
	endLength          = 22
	locatorSignature   = 0x07064b50 // 4.3.15
	locatorLength      = 20
	end64Signature     = 0x06064b50 // 4.3.14
	end64Length        = 56
	directorySignature = 0x02014b50 // 4.3.12
	directoryLength    = 46

	maxComment = 1<<16 - 1
	// maxDirectoryEntry bounds a directory entry on average: a name of 1 KiB with
	// its Unicode copy and time stamps stays well below.
	maxDirectoryEntry = 4 << 10
)

// checkEnd reads the end record and walks the directory without keeping it. It
// makes sure that the directory has the number of entries that the end record
// states, and no more than allowed, because the standard library reads as many as
// there are.
func checkEnd(ctx context.Context, r io.ReaderAt, size int64, base string, l Limits) error {
	tail := make([]byte, min(size, endLength+maxComment))
	if _, err := r.ReadAt(tail, size-int64(len(tail))); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the end of %s: %w", base, err)
	}
	at := bytes.LastIndex(tail, []byte{'P', 'K', 5, 6})
	if at < 0 || at+endLength > len(tail) {
		return notZip(r, size, base)
	}
	end := tail[at:]
	if at+endLength+int(binary.LittleEndian.Uint16(end[20:])) > len(tail) {
		return truncated(base)
	}
	endAt := size - int64(len(tail)-at)
	disk, diskOfDirectory := uint32(binary.LittleEndian.Uint16(end[4:])), uint32(binary.LittleEndian.Uint16(end[6:]))
	count := uint64(binary.LittleEndian.Uint16(end[10:]))
	length := uint64(binary.LittleEndian.Uint32(end[12:]))
	offset := uint64(binary.LittleEndian.Uint32(end[16:]))
	if count == 0xffff || length == 0xffff || length == 0xffffffff || offset == 0xffffffff {
		at64, rec, err := end64(r, endAt)
		if err != nil {
			return problem.Wrap(err, problem.Invalid, "zip-corrupt", base,
				"压缩包目录的结束记录（zip64）已损坏，请重新打包", "the zip64 end record of the archive is corrupt; pack it again")
		}
		if rec != nil {
			endAt = at64
			disk, diskOfDirectory = binary.LittleEndian.Uint32(rec[16:]), binary.LittleEndian.Uint32(rec[20:])
			count = binary.LittleEndian.Uint64(rec[32:])
			length = binary.LittleEndian.Uint64(rec[40:])
			offset = binary.LittleEndian.Uint64(rec[48:])
		}
	}
	if disk != 0 || diskOfDirectory != 0 {
		return problem.New(problem.Unsupported, "zip-split", base,
			"分卷压缩包不支持，请打成一个 zip 文件", "archives split over several files are not read; pack everything into one zip")
	}
	if count > uint64(l.Members) {
		return tooManyMembers(base, int64(min(count, 1<<62)), l.Members)
	}
	if count == 0 {
		return problem.New(problem.Invalid, "zip-empty", base, "压缩包内没有文件", "there is no file in the archive")
	}
	if length > uint64(l.Members)*maxDirectoryEntry {
		return problem.New(problem.TooLarge, "zip-directory", base,
			fmt.Sprintf("压缩包目录有 %d 字节，上限为 %d 字节", length, l.Members*maxDirectoryEntry),
			fmt.Sprintf("the directory of the archive has %d bytes, the bound is %d", length, l.Members*maxDirectoryEntry))
	}
	if offset+length != uint64(endAt) || offset+length < offset {
		return problem.New(problem.Invalid, "zip-corrupt", base,
			"压缩包目录的位置与记录不符：文件不完整，或前后附加了其他数据，请重新打包",
			"the directory of the archive is not where its end record says: the file is incomplete, or other data were put before or after it; pack it again")
	}
	return walkDirectory(ctx, io.NewSectionReader(r, int64(offset), int64(length)), count, base)
}

// end64 returns the zip64 end record and its offset, nil when there is none.
func end64(r io.ReaderAt, endAt int64) (int64, []byte, error) {
	if endAt < locatorLength {
		return 0, nil, nil
	}
	locator := make([]byte, locatorLength)
	if _, err := r.ReadAt(locator, endAt-locatorLength); err != nil {
		return 0, nil, err
	}
	if binary.LittleEndian.Uint32(locator) != locatorSignature {
		return 0, nil, nil
	}
	at := binary.LittleEndian.Uint64(locator[8:])
	if binary.LittleEndian.Uint32(locator[4:]) != 0 || binary.LittleEndian.Uint32(locator[16:]) != 1 || at > uint64(endAt-locatorLength) {
		return 0, nil, errors.New("zip64 locator points outside the file")
	}
	rec := make([]byte, end64Length)
	if _, err := r.ReadAt(rec, int64(at)); err != nil {
		return 0, nil, err
	}
	if binary.LittleEndian.Uint32(rec) != end64Signature {
		return 0, nil, errors.New("no zip64 end record where the locator points")
	}
	return int64(at), rec, nil
}

// walkDirectory makes sure that the directory consists of count whole entries.
func walkDirectory(ctx context.Context, r io.ReaderAt, count uint64, base string) error {
	corrupt := problem.New(problem.Invalid, "zip-corrupt", base,
		"压缩包目录已损坏：条目数与结束记录不符，请重新打包", "the directory of the archive is corrupt: it does not have the entries its end record states; pack it again")
	var at int64
	head := make([]byte, directoryLength)
	for i := uint64(0); i < count; i++ {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("read the directory of %s: %w", base, err)
		}
		if _, err := r.ReadAt(head, at); err != nil || binary.LittleEndian.Uint32(head) != directorySignature {
			return corrupt
		}
		at += directoryLength
		for _, field := range []int{28, 30, 32} { // name, extra, comment
			at += int64(binary.LittleEndian.Uint16(head[field:]))
		}
	}
	if size := r.(*io.SectionReader).Size(); at != size {
		return corrupt
	}
	return nil
}

// notZip says what a file without an end record is instead.
func notZip(r io.ReaderAt, size int64, base string) error {
	head := make([]byte, min(size, 8))
	if _, err := r.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read %s: %w", base, err)
	}
	other := func(name string) error {
		return problem.New(problem.Unsupported, "zip-other-format", base,
			fmt.Sprintf("这是 %s 压缩包而不是 zip，请解压后用 zip 重新打包", name),
			fmt.Sprintf("this is a %s archive, not a zip; pack the files again as zip", name))
	}
	switch {
	case size == 0:
		return problem.New(problem.Invalid, "zip-truncated", base, "文件是空的，请重新上传", "the file is empty; send it again")
	case bytes.HasPrefix(head, []byte("PK\x03\x04")):
		return truncated(base)
	case bytes.HasPrefix(head, []byte("Rar!")):
		return other("RAR")
	case bytes.HasPrefix(head, []byte("7z\xbc\xaf\x27\x1c")):
		return other("7z")
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return other("gzip")
	}
	return problem.New(problem.Invalid, "zip-not-zip", base, "不是 zip 压缩包", "not a zip archive")
}
