package depot

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"changde/s3"
)

// Fetch implements Store: it makes a copy in dir and compares its sum with the
// sealed one. A file of that name in dir is replaced.
func (s *S3) Fetch(ctx context.Context, name, dir string) (string, error) {
	o, err := s.object(name)
	if err != nil {
		return "", err
	}
	l, err := s.load(ctx, o)
	if err != nil {
		return "", err
	}
	if !l.sealed() {
		return "", unsealed(name)
	}
	if err := checkFree(dir, s.config.MinFree, l.Size); err != nil {
		return "", err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", diskError(err, "fetch", name)
	}
	defer root.Close()
	tmp := ".fetch-" + rand.Text()
	w, err := root.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", diskError(err, "fetch", name)
	}
	err = cmp.Or(s.download(ctx, o, l, w), w.Close())
	_, file, _ := strings.Cut(name, "/")
	if err == nil {
		err = root.Rename(tmp, file)
	}
	if err != nil {
		if rerr := root.Remove(tmp); !errors.Is(rerr, fs.ErrNotExist) {
			err = errors.Join(err, rerr)
		}
		return "", diskError(err, "fetch", name)
	}
	return filepath.Join(dir, file), nil
}

// download writes the object, going on where a connection broke off.
func (s *S3) download(ctx context.Context, o object, l *ledger, w io.Writer) error {
	sum := sha256.New()
	buf := make([]byte, 256<<10)
	var n int64
	for try := 1; n < l.Size; try++ {
		k, err := s.downloadFrom(ctx, o, n, io.MultiWriter(w, sum), buf)
		n += k
		if k > 0 {
			try = 1
		}
		var write writeError
		if n < l.Size && (try >= s.config.retries || ctx.Err() != nil || errors.As(err, &write) || s3.IsMissing(err)) {
			return cmp.Or(ctx.Err(), err, io.ErrUnexpectedEOF)
		}
		if n < l.Size {
			select {
			case <-ctx.Done():
			case <-time.After(time.Duration(try) * 200 * time.Millisecond):
			}
		}
	}
	if n != l.Size || !bytes.Equal(sum.Sum(nil), l.SHA256) {
		return fmt.Errorf("the stored object is not what was sealed: %d bytes of %d, SHA-256 %x for %x", n, l.Size, sum.Sum(nil), l.SHA256)
	}
	return nil
}

// writeError is trouble at our own end, which trying again does not mend.
type writeError struct{ error }

func (e writeError) Unwrap() error { return e.error }

func (s *S3) downloadFrom(ctx context.Context, o object, from int64, w io.Writer, buf []byte) (int64, error) {
	var opts minio.GetObjectOptions
	if from > 0 {
		if err := opts.SetRange(from, 0); err != nil {
			return 0, err
		}
	}
	r, _, _, err := s.core.GetObject(ctx, s.bucket.Name, o.file, opts)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	var n int64
	for {
		k, rerr := r.Read(buf)
		if _, err := w.Write(buf[:k]); err != nil {
			return n, writeError{err}
		}
		n += int64(k)
		if rerr == io.EOF {
			return n, nil
		}
		if rerr != nil {
			return n, rerr
		}
	}
}
