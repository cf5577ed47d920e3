// Package depot keeps the files of deliveries from the moment they are received
// until a worker, perhaps on another machine, has loaded them. Uploads are
// resumable at any byte; a sealed file never changes again.
//
// There are two stores of the same contract: Folder, a folder that all machines
// see, and S3, a bucket. Open picks one by its URL.
package depot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"syscall"
	"time"

	"changde/problem"
	"changde/s3"
)

// Store is where received files wait. A name is "<delivery id>/<file name>": the
// id has 1 to 64 letters, digits, '-' and '_' of ASCII, the file name is the
// sender's own, at most 255 bytes of UTF-8 without separators or control
// characters. Names that break this are problem "depot-name".
//
// All methods may be called at the same time, from any number of processes on the
// same store. A name that was not begun is problem "depot-unknown". What a caller
// did wrong is a *problem.Error; any other error is trouble with disk or network.
// No error contains credentials.
type Store interface {
	// Begin starts an upload of size 0. An upload that is under way stays as it
	// is, so that Begin may be repeated; Size tells where to go on. A sealed name
	// is problem "depot-sealed"; more than Config.MaxFiles names of one delivery
	// are "depot-files".
	Begin(ctx context.Context, name string) error
	// Append adds the bytes of r, which stand at offset of the whole file, and
	// returns the size reached; that many bytes are stored for good. An offset
	// other than the present size is problem "depot-offset". It takes at most max
	// bytes (0: no bound of its own) and never beyond Config.MaxFile; when r has
	// more, those before are kept and the error is "depot-size". When r or ctx
	// ends early, what had arrived is kept too: the size returned counts also
	// beside an error. Of two calls on one name at the same time one gets
	// "depot-busy" and stores nothing more.
	Append(ctx context.Context, name string, offset int64, r io.Reader, max int64) (size int64, err error)
	// Size returns the bytes stored, of sealed files and of uploads under way.
	Size(ctx context.Context, name string) (int64, error)
	// Seal ends an upload and returns the size and the SHA-256 of the file.
	// Sealing again returns the same.
	Seal(ctx context.Context, name string) (size int64, sha256 []byte, err error)
	// Fetch returns the path of a sealed file on this machine, for reading only.
	// It may be the stored file itself, or a copy in the existing folder dir with
	// the sender's file name, which is the caller's to remove. The files of one
	// delivery come to stand beside each other. One that is not sealed is problem
	// "depot-unsealed"; a copy that is not what was sealed is an error.
	Fetch(ctx context.Context, name, dir string) (path string, err error)
	// Remove deletes a file, or an upload under way with all its leftovers. It is
	// no error when there is none.
	Remove(ctx context.Context, name string) error
	// List returns what the store holds under names that begin with prefix, sorted
	// by name: sealed files and uploads under way. An empty prefix lists all. More
	// than 100,000 are problem "depot-list".
	List(ctx context.Context, prefix string) ([]Entry, error)
}

// Entry is one file of a store.
type Entry struct {
	Name     string // "<delivery id>/<file name>"
	Size     int64  // bytes stored
	Sealed   bool
	Modified time.Time // of the last append or the seal, by the clock of the store
}

// Config sets the bounds of a store and how to reach it. The zero value of each
// field means its default.
type Config struct {
	MaxFile  int64 // bytes of one file; 20 GiB
	MaxFiles int   // files of one delivery; 4,000
	MinFree  int64 // bytes that stay free on a disk that is written to; 1 GiB, negative for none

	Credentials s3.Credentials    // of S3
	Transport   http.RoundTripper // of S3; nil for the client's own
	PartSize    int64             // bytes of a part of an S3 upload and of memory for each Append; at least 5 MiB, default 8 MiB

	retries int // of a request to S3; 4
}

const (
	defaultMaxFile  = 20 << 30
	defaultMaxFiles = 4000
	defaultMinFree  = 1 << 30
	defaultPart     = 8 << 20
	minPart         = 5 << 20 // S3: every part but the last
	maxParts        = 10000   // S3: part numbers
	maxList         = 100000
)

func (c Config) withDefaults() Config {
	if c.MaxFile <= 0 {
		c.MaxFile = defaultMaxFile
	}
	if c.MaxFiles <= 0 {
		c.MaxFiles = defaultMaxFiles
	}
	if c.MinFree == 0 {
		c.MinFree = defaultMinFree
	}
	if c.retries <= 0 {
		c.retries = 4
	}
	if c.PartSize <= 0 {
		c.PartSize = defaultPart
	}
	// Half of the numbers are left to uploads that were cut off: see S3.take.
	c.PartSize = max(c.PartSize, minPart, c.MaxFile/(maxParts/2)+1)
	return c
}

// Open opens the store at a URL: a plain path or file:///path for a Folder, which
// is made when it is missing, or s3:// as s3.Connect reads it. S3 is not contacted.
func Open(rawURL string, config Config) (Store, error) {
	path, isFolder, err := s3.Folder(rawURL)
	switch {
	case err != nil:
		return nil, err
	case isFolder:
		return OpenFolder(path, config)
	}
	return openS3(rawURL, config)
}

func unknown(name string) error {
	return problem.New(problem.NotFound, "depot-unknown", name,
		"存放区没有这个文件，请重新上传", "the depot has no such file; send it again")
}

func sealed(name string) error {
	return problem.New(problem.Conflict, "depot-sealed", name,
		"该文件已收齐封存，不能再写入；如有更改请作为新的交付上传", "the file is complete and sealed and takes no more bytes; send changes as a delivery of their own")
}

func unsealed(name string) error {
	return problem.New(problem.Conflict, "depot-unsealed", name,
		"该文件尚未收齐封存", "the file is not complete and sealed yet")
}

func busy(name string) error {
	return problem.New(problem.Busy, "depot-busy", name,
		"另一连接正在写入该文件，请查询已收大小后续传", "another connection writes to this file; ask for its size and go on from there")
}

func wrongOffset(name string, size int64) error {
	return problem.New(problem.Conflict, "depot-offset", name,
		fmt.Sprintf("已收 %d 字节，请从此处续传", size), fmt.Sprintf("%d bytes are stored; go on from there", size))
}

func tooLarge(name string, limit int64) error {
	return problem.New(problem.TooLarge, "depot-size", name,
		fmt.Sprintf("文件超过 %s，请压缩或分批交付", bytesText(limit)), fmt.Sprintf("the file has more than %s; compress it or deliver it in parts", bytesText(limit)))
}

func tooManyFiles(id string, limit int) error {
	return problem.New(problem.TooLarge, "depot-files", id,
		fmt.Sprintf("一次交付最多 %d 个文件，请打包后上传", limit), fmt.Sprintf("a delivery may hold at most %d files; pack them into an archive", limit))
}

func listTooLong(prefix string) error {
	return problem.New(problem.TooLarge, "depot-list", prefix,
		fmt.Sprintf("超过 %d 个文件，请缩小范围", maxList), fmt.Sprintf("more than %d files; narrow the prefix", maxList))
}

// full is a disk without room, whether found by asking or by writing.
func full(err error) error {
	return problem.Wrap(err, problem.Busy, "depot-full", "depot",
		"服务器存放区空间不足，请联系管理员清理后再试；已上传的部分会保留", "the server's depot is out of space; have the operator make room and try again: what was sent is kept")
}

// diskError tells a full disk from other trouble.
func diskError(err error, doing, name string) error {
	err = fmt.Errorf("depot: %s %s: %w", doing, name, err)
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return full(err)
	}
	return err
}

func bytesText(n int64) string {
	for _, u := range []struct {
		size int64
		name string
	}{{1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if n >= u.size {
			return fmt.Sprintf("%.4g %s", float64(n)/float64(u.size), u.name)
		}
	}
	return fmt.Sprintf("%d B", n)
}

// contextReader ends a long read when its context ends.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// bound returns how many bytes an Append may take at size, and the limit to
// name when there are more.
func (c Config) bound(size, most int64) (room, limit int64) {
	room, limit = c.MaxFile-size, c.MaxFile
	if most > 0 && most < room {
		room, limit = most, size+most
	}
	return max(room, 0), limit
}
