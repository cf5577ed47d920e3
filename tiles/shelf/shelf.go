// Package shelf keeps named files that never change, where all machines reach them: in
// a folder or in a bucket of S3. A file appears whole or not at all, and whoever reads
// one reads it to the end as it was, or is told that it is another now.
package shelf

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"changde/problem"
	"changde/s3"
)

// Shelf is a place for files. A name has 1 to 255 bytes of UTF-8 without separators
// and control characters. All methods may be called at the same time, from any number
// of processes on the same shelf. No error contains credentials.
type Shelf interface {
	// List returns the files, sorted by name. More than 100,000 are problem
	// "shelf-list".
	List(ctx context.Context) ([]Entry, error)
	// Open opens a file for reading. A name that is not there is fs.ErrNotExist.
	Open(ctx context.Context, name string) (File, error)
	// Scratch gives a folder on this machine to make files in that are to be put. done
	// gives it back with what is left in it of the caller.
	Scratch() (dir string, done func() error, err error)
	// Put makes a finished file of a Scratch folder the one of that name, in place of
	// one that is there, and takes it out of the folder. The file is there whole and
	// for good when there is no error, and not or as before when there is one; but
	// where an answer was lost, it may be there.
	Put(ctx context.Context, name, path string) error
	// Remove deletes a file. It is no error when there is none.
	Remove(ctx context.Context, name string) error
	// Sweep removes what processes that died have left of files, with names that end
	// in one of the suffixes, which they were making or putting.
	Sweep(ctx context.Context, suffixes ...string) error
}

// Entry is one file of a shelf.
type Entry struct {
	Name     string
	Size     int64
	Modified time.Time // by the clock of the shelf
	ID       string    // see File
}

// File is an open file. It may be used by many goroutines.
type File interface {
	// ReadAt is that of io.ReaderAt. A file that is not any more what was opened is
	// ErrChanged, where the shelf does not keep it for its readers.
	io.ReaderAt
	io.Closer
	Size() int64
	// Modified is when the file was put or made, by the clock of the shelf.
	Modified() time.Time
	// ID tells files of one name apart, on all machines alike: as long as it is that of
	// the Entry of that name, the file there is the one that is open.
	ID() string
}

var (
	// ErrChanged is the error of a file that was replaced or removed since it was
	// opened.
	ErrChanged = errors.New("the file was replaced or removed since it was opened")
	// ErrUnreachable is the error of a read or list that had no answer, which says
	// nothing of the files.
	ErrUnreachable = errors.New("the shelf does not answer")
	// ErrResting is the ErrUnreachable of a request that was not made, because one
	// shortly before had no answer. It is made again after a while.
	ErrResting = fmt.Errorf("%w: it did not a moment ago, and is not asked again yet", ErrUnreachable)
)

// Config tunes a shelf in S3. The zero value of each field means its default.
type Config struct {
	Credentials s3.Credentials
	Transport   http.RoundTripper // nil for the client's own
	CacheBytes  int64             // of blocks kept in memory; 256 MiB
	// Patience is how long a reader waits for an answer, repeated attempts included,
	// and a second more for each MiB; a list may take five times as long. Default 2 s.
	Patience time.Duration
	TempDir  string // of the folders of Scratch; os.TempDir()
}

const (
	maxList           = 100_000
	defaultCacheBytes = 256 << 20
	defaultPatience   = 2 * time.Second
)

func (c Config) withDefaults() Config {
	if c.CacheBytes <= 0 {
		c.CacheBytes = defaultCacheBytes
	}
	if c.Patience <= 0 {
		c.Patience = defaultPatience
	}
	if c.TempDir == "" {
		c.TempDir = os.TempDir()
	}
	return c
}

// Open opens the shelf at an address: a plain path or file:///path for a Folder, which
// is made when it is missing, or s3:// as s3.Connect reads it. S3 is not contacted.
func Open(address string, config Config) (Shelf, error) {
	path, isFolder, err := s3.Folder(address)
	switch {
	case err != nil:
		return nil, err
	case isFolder:
		return OpenFolder(path)
	}
	return openS3(address, config)
}

func checkName(name string) error {
	if name == "" || len(name) > 255 || name == "." || name == ".." || !utf8.ValidString(name) ||
		strings.ContainsFunc(name, func(r rune) bool { return r == '/' || r == '\\' || unicode.IsControl(r) }) {
		return fmt.Errorf("shelf: %q is not the name of a file", name)
	}
	return nil
}

func listTooLong(where string) error {
	return problem.New(problem.TooLarge, "shelf-list", where,
		fmt.Sprintf("超过 %d 个文件，瓦片档案请单独使用一个文件夹或前缀", maxList),
		fmt.Sprintf("more than %d files; give the archives of tiles a folder or prefix of their own", maxList))
}
