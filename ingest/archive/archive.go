// Package archive unpacks a delivery that came as one zip file, on the
// assumption that whoever made the file means harm: nothing is written outside
// the folder given, headers are not believed, and every count, size, ratio and
// depth has a bound.
//
// The format is PKWARE's APPNOTE.TXT 6.3.10; docs/formats/zip.md lists what is
// read and what is refused.
package archive

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"syscall"

	"changde/problem"
)

// Limits bounds what an archive may unpack to. The zero value of each field
// means its default.
type Limits struct {
	Members int     // entries in the archive, folders included; 2,000
	Bytes   int64   // total size of the unpacked members; 16 GiB
	Ratio   float64 // unpacked to packed size of a member that unpacks to more than 16 MiB; 200
	Depth   int     // parts of a member's path, its own name included; 8
}

const (
	defaultMembers = 2000
	defaultBytes   = 16 << 30
	defaultRatio   = 200
	defaultDepth   = 8

	// ratioFloor is the size below which the ratio is not looked at: a small DBF
	// of blanks compresses as well as a bomb and does no harm.
	ratioFloor = 16 << 20
)

func (l Limits) withDefaults() Limits {
	if l.Members <= 0 {
		l.Members = defaultMembers
	}
	if l.Bytes <= 0 {
		l.Bytes = defaultBytes
	}
	if l.Ratio <= 0 {
		l.Ratio = defaultRatio
	}
	if l.Depth <= 0 {
		l.Depth = defaultDepth
	}
	return l
}

// Member is one unpacked file. Folders are no members.
type Member struct {
	Name         string // decoded, slash-separated, relative
	Path         string // on disk
	Size         int64  // bytes written
	NameEncoding string // "UTF-8" or "GB18030": how the name was read
}

// Unpack writes the files of the zip archive zipPath below the folder dir, which
// must exist, and returns them in the order of the archive. A zip inside the zip
// is a member like any other; it is not opened. The litter of operating systems
// (__MACOSX/, .DS_Store, Thumbs.db, desktop.ini) is left out.
//
// The number of entries is tested on the end record before anything else is
// read. On any error, the end of ctx included, everything that was written is
// removed again. What is wrong with the archive is a *problem.Error that names
// the archive and the member; a full disk or an unwritable dir is another error,
// wrapped so that errors.Is finds syscall.ENOSPC and the like. Calls on
// different folders may run at the same time.
func Unpack(ctx context.Context, zipPath, dir string, l Limits) ([]Member, error) {
	l = l.withDefaults()
	base := filepath.Base(zipPath)
	f, err := os.Open(zipPath)
	if err != nil {
		return nil, problem.Wrap(err, problem.Invalid, "zip-unreadable", base,
			"压缩包不存在或不可读，请检查路径与权限", "the archive does not exist or cannot be read; check the path and its permissions")
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("stat %s: %w", base, err)
	}
	if !info.Mode().IsRegular() {
		return nil, problem.New(problem.Invalid, "zip-unreadable", base, "不是普通文件", "not a regular file")
	}
	if err := checkEnd(ctx, f, info.Size(), base, l); err != nil {
		return nil, err
	}
	z, err := zip.NewReader(f, info.Size())
	if err != nil {
		return nil, problem.Wrap(err, problem.Invalid, "zip-corrupt", base,
			"压缩包目录已损坏，请重新打包后再交", "the directory of the archive is corrupt; pack it again")
	}
	if len(z.File) > l.Members {
		return nil, tooManyMembers(base, int64(len(z.File)), l.Members)
	}
	entries, err := plan(z.File, base, l)
	if err != nil {
		return nil, err
	}

	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open the folder to unpack into: %w", err)
	}
	defer root.Close()
	u := unpacker{ctx: ctx, root: root, dir: dir, archive: base, limits: l, made: make(map[string]bool), buf: make([]byte, 256<<10)}
	members := make([]Member, 0, len(entries))
	for _, e := range entries {
		m, err := u.write(e)
		if err != nil {
			if cleanup := u.remove(); cleanup != nil {
				err = errors.Join(err, fmt.Errorf("remove what was unpacked: %w", cleanup))
			}
			return nil, err
		}
		members = append(members, m)
	}
	return members, nil
}

// entry is a file of the archive that is to be written.
type entry struct {
	file     *zip.File
	name     string
	encoding string
}

// plan decides what is written where, and refuses what headers alone show to be
// wrong, before the first byte is inflated.
func plan(files []*zip.File, base string, l Limits) ([]entry, error) {
	gb := needsGB18030(files)
	kinds := make(map[string]string) // folded path -> the member that made it, "" for a folder
	var entries []entry
	var declared uint64
	for i, f := range files {
		name, encoding, err := decodeName(f, gb, base, i)
		if err != nil {
			return nil, err
		}
		folder := strings.HasSuffix(name, "/") || strings.HasSuffix(name, "\\") || f.Mode().IsDir()
		name, err = cleanName(name, base, l.Depth)
		if err != nil {
			return nil, err
		}
		where := base + ": " + name
		if mode := f.Mode().Type(); mode != 0 && mode != fs.ModeDir {
			return nil, problem.New(problem.Unsupported, "zip-special-file", where,
				"压缩包内不得有符号链接、设备等特殊文件，请只打包普通文件", "symbolic links, devices and other special files are refused; pack regular files only")
		}
		if name == "" || litter(name) {
			continue
		}
		if folder {
			if f.UncompressedSize64 > 0 {
				return nil, problem.New(problem.Invalid, "zip-corrupt", where,
					"成员标为文件夹却带有数据，请重新打包", "the member is marked as a folder and yet has data; pack it again")
			}
			if err := claim(kinds, name, true, base); err != nil {
				return nil, err
			}
			continue
		}
		if err := checkReadable(f, where); err != nil {
			return nil, err
		}
		if err := claim(kinds, name, false, base); err != nil {
			return nil, err
		}
		if f.UncompressedSize64 > uint64(l.Bytes) || declared+f.UncompressedSize64 > uint64(l.Bytes) {
			return nil, tooManyBytes(base, l.Bytes)
		}
		declared += f.UncompressedSize64
		entries = append(entries, entry{f, name, encoding})
	}
	if len(entries) == 0 {
		return nil, problem.New(problem.Invalid, "zip-empty", base, "压缩包内没有文件", "there is no file in the archive")
	}
	return entries, checkOverlap(entries, base)
}

// checkReadable refuses members that cannot be inflated.
func checkReadable(f *zip.File, where string) error {
	const encrypted, patched, strong, masked = 0x1, 0x20, 0x40, 0x2000
	if f.Flags&(encrypted|strong|masked) != 0 || f.Method == 99 {
		return problem.New(problem.Unsupported, "zip-encrypted", where,
			"压缩包已加密，请去掉密码后重新打包", "the member is encrypted; pack it again without a password")
	}
	if f.Flags&patched != 0 || (f.Method != zip.Store && f.Method != zip.Deflate) {
		name := methodName(f.Method)
		return problem.New(problem.Unsupported, "zip-method", where,
			fmt.Sprintf("不支持压缩方法 %s，请用普通 zip（Deflate）重新打包；超过 2 GiB 时不要用 Windows 资源管理器压缩", name),
			fmt.Sprintf("compression method %s is not read; pack it again as an ordinary zip (deflate); above 2 GiB do not use the Windows Explorer", name))
	}
	return nil
}

func methodName(method uint16) string {
	names := map[uint16]string{6: "Implode", 9: "Deflate64", 12: "bzip2", 14: "LZMA", 93: "Zstandard", 95: "XZ", 96: "JPEG", 98: "PPMd"}
	if n, ok := names[method]; ok {
		return n
	}
	return fmt.Sprint(method)
}

// checkOverlap refuses members that share bytes: no packer does that, and a bomb
// that does unpacks far more than its size allows.
func checkOverlap(entries []entry, base string) error {
	type span struct {
		from, to int64
		name     string
	}
	spans := make([]span, 0, len(entries))
	for _, e := range entries {
		from, err := e.file.DataOffset()
		if err != nil {
			return problem.Wrap(err, problem.Invalid, "zip-corrupt", base+": "+e.name,
				"成员的文件头已损坏或被截断，请重新打包", "the header of the member is corrupt or cut off; pack it again")
		}
		if e.file.CompressedSize64 > 1<<62 {
			return truncated(base + ": " + e.name)
		}
		spans = append(spans, span{from, from + int64(e.file.CompressedSize64), e.name})
	}
	sort.Slice(spans, func(i, j int) bool { return spans[i].from < spans[j].from })
	for i := 1; i < len(spans); i++ {
		if spans[i].from < spans[i-1].to || spans[i].from == spans[i-1].from {
			return problem.New(problem.Invalid, "zip-overlap", base+": "+spans[i].name,
				fmt.Sprintf("与成员 %q 的数据重叠，疑为压缩炸弹", spans[i-1].name),
				fmt.Sprintf("its data overlap those of member %q: this is how bombs are made", spans[i-1].name))
		}
	}
	return nil
}

// unpacker writes members and remembers what it made.
type unpacker struct {
	ctx     context.Context
	root    *os.Root
	dir     string
	archive string
	limits  Limits
	total   int64
	made    map[string]bool // folders that are known to exist
	created []string        // files and folders made, in order
	buf     []byte
}

func (u *unpacker) write(e entry) (Member, error) {
	where := u.archive + ": " + e.name
	if err := u.folders(e.name); err != nil {
		return Member{}, fmt.Errorf("unpack %s: %w", where, err)
	}
	r, err := e.file.Open()
	if err != nil {
		return Member{}, corrupt(err, where)
	}
	defer r.Close()
	path := filepath.FromSlash(e.name)
	w, err := u.root.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return Member{}, writeError(err, where)
	}
	u.created = append(u.created, path)
	n, err := u.copy(w, r, e, where)
	if cerr := w.Close(); err == nil && cerr != nil {
		err = writeError(cerr, where)
	}
	if err != nil {
		return Member{}, err
	}
	return Member{Name: e.name, Path: filepath.Join(u.dir, path), Size: n, NameEncoding: e.encoding}, nil
}

// copy inflates one member. It counts what comes out, whatever the headers say.
func (u *unpacker) copy(w io.Writer, r io.Reader, e entry, where string) (int64, error) {
	var n int64
	sum := crc32.NewIEEE()
	most := int64(float64(e.file.CompressedSize64) * u.limits.Ratio)
	for {
		if err := u.ctx.Err(); err != nil {
			return n, fmt.Errorf("unpack %s: %w", where, err)
		}
		k, err := r.Read(u.buf)
		if k > 0 {
			n += int64(k)
			u.total += int64(k)
			if u.total > u.limits.Bytes {
				return n, tooManyBytes(u.archive, u.limits.Bytes)
			}
			if n > ratioFloor && n > most {
				return n, problem.New(problem.TooLarge, "zip-ratio", where,
					fmt.Sprintf("解压后超过压缩前的 %g 倍，疑为压缩炸弹；若确为数据，请不压缩直接上传", u.limits.Ratio),
					fmt.Sprintf("it unpacks to more than %g times its packed size, as a bomb does; if it is data, send it unpacked", u.limits.Ratio))
			}
			sum.Write(u.buf[:k])
			if _, err := w.Write(u.buf[:k]); err != nil {
				return n, writeError(err, where)
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return n, corrupt(err, where)
		}
	}
	// The standard library takes a stored sum of 0 to mean that there is none.
	if sum.Sum32() != e.file.CRC32 {
		return n, corrupt(zip.ErrChecksum, where)
	}
	return n, nil
}

// folders makes the folders above a member.
func (u *unpacker) folders(name string) error {
	for i, c := range name {
		if c != '/' || u.made[name[:i]] {
			continue
		}
		path := filepath.FromSlash(name[:i])
		err := u.root.Mkdir(path, 0o700)
		switch {
		case err == nil:
			u.created = append(u.created, path)
		case errors.Is(err, fs.ErrExist):
			if info, err := u.root.Lstat(path); err != nil || !info.IsDir() {
				return fmt.Errorf("%q in the folder to unpack into is not a folder", path)
			}
		default:
			return writeError(err, u.archive+": "+name)
		}
		u.made[name[:i]] = true
	}
	return nil
}

// remove undoes everything, last first so that folders are empty when their turn
// comes.
func (u *unpacker) remove() error {
	var errs []error
	for i := len(u.created) - 1; i >= 0; i-- {
		if err := u.root.Remove(u.created[i]); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func corrupt(err error, where string) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return truncated(where)
	}
	if errors.Is(err, zip.ErrChecksum) {
		return problem.Wrap(err, problem.Invalid, "zip-checksum", where,
			"校验和（CRC-32）不符，文件在打包或传输中损坏，请重新打包", "the checksum (CRC-32) does not match: the file was damaged in packing or transfer; pack it again")
	}
	return problem.Wrap(err, problem.Invalid, "zip-corrupt", where,
		"压缩数据已损坏，请重新打包", "the compressed data are corrupt; pack it again")
}

func truncated(where string) error {
	return problem.New(problem.Invalid, "zip-truncated", where,
		"数据不完整或与目录所记大小不符，可能上传中断，请重新上传", "the data end early or do not have the size the directory states, perhaps the upload was cut off; send it again")
}

// writeError tells a full disk from other trouble of our own.
func writeError(err error, where string) error {
	if errors.Is(err, syscall.ENAMETOOLONG) {
		return nameProblem(where, "文件名过长（UTF-8 编码不得超过 255 字节）", "the name is too long (at most 255 bytes in UTF-8)")
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("unpack %s: no space left on the disk of the server （服务器磁盘已满）: %w", where, err)
	}
	return fmt.Errorf("unpack %s: %w", where, err)
}

func tooManyMembers(base string, n int64, limit int) error {
	return problem.New(problem.TooLarge, "zip-members", base,
		fmt.Sprintf("压缩包有 %d 个成员，上限为 %d 个，请分批打包", n, limit),
		fmt.Sprintf("the archive has %d members, the bound is %d; pack it in parts", n, limit))
}

func tooManyBytes(base string, limit int64) error {
	size := fmt.Sprintf("%d B", limit)
	if limit >= 1<<20 {
		size = fmt.Sprintf("%.4g MiB", float64(limit)/(1<<20))
	}
	return problem.New(problem.TooLarge, "zip-bytes", base,
		fmt.Sprintf("解压后总大小超过上限 %s，请分批打包", size),
		fmt.Sprintf("the unpacked size exceeds the bound of %s; pack it in parts", size))
}
