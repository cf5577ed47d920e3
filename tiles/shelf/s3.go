package shelf

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/maypok86/otter/v2"
	"github.com/minio/minio-go/v7"

	"changde/problem"
	"changde/s3"
	"changde/scratch"
)

// S3 is a Shelf in a bucket. What is read is kept in memory in blocks. Every read asks
// for the object as it was when it was opened, so that bytes of one that has replaced
// it are never taken for its own.
//
// When the service does not answer, reads of what is not in memory, and lists, are
// ErrResting for a while.
type S3 struct {
	bucket s3.Bucket
	config Config
	blocks *otter.Cache[blockKey, []byte]
	rest   rest
}

// listing is how many times longer than a read a list may take.
const listing = 5

func openS3(address string, config Config) (*S3, error) {
	b, err := s3.Connect(address, s3.Config{Credentials: config.Credentials, Transport: config.Transport})
	if err != nil {
		return nil, err
	}
	config.Credentials = s3.Credentials{} // the client has them, and prints none
	s := &S3{bucket: b, config: config.withDefaults()}
	s.blocks = otter.Must(&otter.Options[blockKey, []byte]{
		MaximumWeight: uint64(s.config.CacheBytes),
		Weigher: func(k blockKey, b []byte) uint32 {
			const overhead = 200 // of the entry and the key
			return uint32(min(len(k.object)+len(b)+overhead, math.MaxUint32))
		},
	})
	return s, nil
}

func (s *S3) key(name string) string { return s.bucket.Prefix + name }

// ask makes a request that a reader waits for, at most as long as given, unless the
// service rests.
func (s *S3) ask(ctx context.Context, longest time.Duration, request func(context.Context) error) error {
	trial, err := s.rest.enter(longest)
	if err != nil {
		return err
	}
	bound, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	err = request(bound)
	var refused *problem.Error
	answered := err == nil || errors.Is(err, ErrChanged) || errors.Is(err, fs.ErrNotExist) || errors.As(err, &refused)
	if !answered && ctx.Err() != nil && !trial {
		return err // the reader went away, which says nothing
	}
	s.rest.leave(trial, answered)
	if !answered {
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	return err
}

// List implements Shelf.
func (s *S3) List(ctx context.Context) ([]Entry, error) {
	var out []Entry
	err := s.ask(ctx, listing*s.config.Patience, func(ctx context.Context) error {
		for info, err := range s.bucket.List(ctx, s.bucket.Prefix, false) {
			if err != nil {
				return err
			}
			name := strings.TrimPrefix(info.Key, s.bucket.Prefix)
			if checkName(name) != nil {
				continue
			}
			if out = append(out, Entry{Name: name, Size: info.Size, Modified: info.LastModified, ID: info.ETag}); len(out) > maxList {
				return listTooLong(s.bucket.Prefix)
			}
		}
		return ctx.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("shelf: list in S3: %w", err)
	}
	slices.SortFunc(out, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// Open implements Shelf.
func (s *S3) Open(ctx context.Context, name string) (File, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	f := &s3File{s: s, key: s.key(name)}
	err := s.ask(ctx, s.config.Patience, func(ctx context.Context) error {
		info, err := s.bucket.Client.StatObject(ctx, s.bucket.Name, f.key, minio.StatObjectOptions{})
		if s3.IsMissing(err) {
			return errors.Join(fs.ErrNotExist, err)
		}
		f.size, f.etag, f.modified = info.Size, info.ETag, info.LastModified
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("shelf: open %s in S3: %w", name, err)
	}
	f.object = f.key + "\n" + f.etag
	return f, nil
}

// scratchPrefix begins the name of a folder of Scratch.
const scratchPrefix = "changde-tiles-"

// Scratch implements Shelf.
func (s *S3) Scratch() (string, func() error, error) {
	return scratch.New(s.config.TempDir, scratchPrefix)
}

// A Put may take slack, and a second more for each slowest bytes.
const (
	slack   = 10 * time.Minute
	slowest = 256 << 10
)

// Put implements Shelf.
func (s *S3) Put(ctx context.Context, name, path string) error {
	if err := checkName(name); err != nil {
		return err
	}
	if err := s.put(ctx, s.key(name), path); err != nil {
		return fmt.Errorf("shelf: put %s in S3: %w", name, err)
	}
	// The folder it is in does not outlive the work.
	_ = os.Remove(path)
	return nil
}

func (s *S3) put(ctx context.Context, key, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, slack+time.Duration(info.Size()/slowest)*time.Second)
	defer cancel()
	// The service compares the sum of each part.
	put, err := s.bucket.Client.PutObject(ctx, s.bucket.Name, key, f, info.Size(), minio.PutObjectOptions{
		ContentType: "application/octet-stream", DisableContentSha256: true, SendContentMd5: true,
	})
	if err == nil && put.Size != info.Size() {
		err = fmt.Errorf("%d bytes of %d were stored", put.Size, info.Size())
	}
	return err
}

// Remove implements Shelf.
func (s *S3) Remove(ctx context.Context, name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	if err := s.bucket.Remove(ctx, s.key(name)); err != nil && !s3.IsMissing(err) {
		return fmt.Errorf("shelf: remove %s in S3: %w", name, err)
	}
	return nil
}

// An upload in parts that began so long ago is taken for one of a process that died.
// maxSwept bounds those that one Sweep ends.
const (
	longUpload = 24 * time.Hour
	maxSwept   = 1000
)

// Sweep implements Shelf. An upload that was cut off is left when it began a day ago.
func (s *S3) Sweep(ctx context.Context, suffixes ...string) error {
	if err := scratch.Sweep(s.config.TempDir, scratchPrefix); err != nil {
		return fmt.Errorf("shelf: remove folders of dead processes: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	swept := 0
	for u := range s.bucket.Client.ListIncompleteUploads(ctx, s.bucket.Name, s.bucket.Prefix, true) {
		if s3.IsNoUpload(u.Err) { // some services say so when there is none
			return nil
		}
		if u.Err != nil {
			return fmt.Errorf("shelf: list uploads in S3: %w", u.Err)
		}
		ours := slices.ContainsFunc(suffixes, func(suffix string) bool { return strings.HasSuffix(u.Key, suffix) })
		if !ours || strings.Contains(strings.TrimPrefix(u.Key, s.bucket.Prefix), "/") || time.Since(u.Initiated) < longUpload {
			continue
		}
		if err := s.bucket.Core().AbortMultipartUpload(ctx, s.bucket.Name, u.Key, u.UploadID); err != nil && !s3.IsNoUpload(err) {
			return fmt.Errorf("shelf: end an upload in S3: %w", err)
		}
		if swept++; swept == maxSwept {
			return nil
		}
	}
	return nil
}
