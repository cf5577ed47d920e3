package shelf

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/maypok86/otter/v2"
	"github.com/minio/minio-go/v7"

	"changde/s3"
)

const (
	blockSize = 256 << 10
	// runBlocks is the most blocks of one request.
	runBlocks = 16
	// fetchTries is how often bytes are asked for when an answer breaks off.
	fetchTries = 3
)

// blockKey names a block of an object as it was opened.
type blockKey struct {
	object string // key and ETag
	n      int64
}

// s3File is an object as it was when it was opened.
type s3File struct {
	s        *S3
	key      string
	etag     string
	object   string
	size     int64
	modified time.Time
}

// Size implements File.
func (f *s3File) Size() int64 { return f.size }

// Modified implements File.
func (f *s3File) Modified() time.Time { return f.modified }

// ID implements File.
func (f *s3File) ID() string { return f.etag }

// Close implements File. There is nothing to give back.
func (f *s3File) Close() error { return nil }

// ReadAt implements File. What is not in memory is asked for in one request for each
// 4 MiB; who wants a block that another is reading waits for it.
func (f *s3File) ReadAt(b []byte, at int64) (n int, err error) {
	if at < 0 {
		return 0, fmt.Errorf("shelf: read at %d", at)
	}
	for n < len(b) && at+int64(n) < f.size {
		from := at + int64(n)
		first := from / blockSize
		last := min((min(at+int64(len(b)), f.size)-1)/blockSize, first+runBlocks-1)
		blocks, err := f.blocks(first, last)
		if err != nil {
			return n, fmt.Errorf("shelf: read %d bytes at %d of %s: %w", len(b), at, f.key, err)
		}
		for i := first; i <= last; i++ {
			n += copy(b[n:], blocks[blockKey{f.object, i}][at+int64(n)-i*blockSize:])
		}
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// blocks gives the blocks from first to last, of which there are at most runBlocks.
func (f *s3File) blocks(first, last int64) (map[blockKey][]byte, error) {
	longest := f.s.config.Patience + time.Duration((last-first+1)*blockSize>>20)*time.Second
	ctx, cancel := context.WithTimeout(context.Background(), longest)
	defer cancel()
	keys := make([]blockKey, 0, last-first+1)
	for n := first; n <= last; n++ {
		keys = append(keys, blockKey{f.object, n})
	}
	return f.s.blocks.BulkGet(ctx, keys, otter.BulkLoaderFunc[blockKey, []byte](func(_ context.Context, keys []blockKey) (map[blockKey][]byte, error) {
		out := make(map[blockKey][]byte, len(keys))
		// With a bound of its own, for others may wait for the blocks.
		err := f.s.ask(context.Background(), longest, func(ctx context.Context) error { return f.load(ctx, keys, out) })
		return out, err
	}))
}

// load reads blocks, those beside each other in one request.
func (f *s3File) load(ctx context.Context, keys []blockKey, out map[blockKey][]byte) error {
	slices.SortFunc(keys, func(a, b blockKey) int { return int(a.n - b.n) })
	for len(keys) > 0 {
		run := 1
		for run < len(keys) && keys[run].n == keys[0].n+int64(run) {
			run++
		}
		// Each has its own memory, so that what is forgotten is given back.
		blocks := make([][]byte, run)
		for i, k := range keys[:run] {
			blocks[i] = make([]byte, min(blockSize, f.size-k.n*blockSize))
			out[k] = blocks[i]
		}
		if err := f.fetch(ctx, keys[0].n, blocks); err != nil {
			return err
		}
		keys = keys[run:]
	}
	return nil
}

// fetch fills blocks from the first on, going on where an answer breaks off.
func (f *s3File) fetch(ctx context.Context, first int64, blocks [][]byte) error {
	for try := 1; ; try++ {
		n, err := f.get(ctx, first, blocks)
		if err == nil {
			return nil
		}
		if errors.Is(err, ErrChanged) || try == fetchTries || ctx.Err() != nil {
			return err
		}
		first, blocks = first+int64(n), blocks[n:]
	}
}

// get makes one request, and tells how many blocks it has filled.
func (f *s3File) get(ctx context.Context, first int64, blocks [][]byte) (n int, err error) {
	from, to := first*blockSize, (first+int64(len(blocks)-1))*blockSize+int64(len(blocks[len(blocks)-1]))-1
	var opts minio.GetObjectOptions
	if err := errors.Join(opts.SetMatchETag(f.etag), opts.SetRange(from, to)); err != nil {
		return 0, err
	}
	r, info, header, err := f.s.bucket.Core().GetObject(ctx, f.s.bucket.Name, f.key, opts)
	if s3.IsMissing(err) || s3.IsConflict(err) {
		return 0, errors.Join(ErrChanged, err)
	}
	if err != nil {
		return 0, err
	}
	defer r.Close()
	if info.ETag != f.etag { // a service that passes over conditions of reads
		return 0, ErrChanged
	}
	if got, want := header.Get("Content-Range"), fmt.Sprintf("bytes %d-%d/%d", from, to, f.size); got != want {
		return 0, fmt.Errorf("S3 gives %q, asked for %q", got, want)
	}
	for n, b := range blocks {
		if _, err := io.ReadFull(r, b); err != nil {
			return n, err
		}
	}
	return len(blocks), nil
}
