package depot

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/minio/minio-go/v7"

	"changde/problem"
	"changde/s3"
)

const (
	// nonceHeader marks an object with the upload it came from.
	nonceHeader = "Changde-Upload"
	// finish is how long an Append whose context has ended may take to store what
	// had arrived.
	finish = time.Minute
)

// S3 is a Store in a bucket that any machine can reach. The service must refuse
// puts whose condition (If-Match, If-None-Match) does not hold, as Amazon S3 and
// MinIO do; the first Begin tests that.
//
// Under the prefix stand files/ with what is sealed, state/ with a ledger for each
// file, and tail/ with bytes that do not fill a part yet.
type S3 struct {
	bucket      s3.Bucket
	core        minio.Core
	config      Config
	conditional atomic.Bool // the service was seen to keep conditions
}

func openS3(rawURL string, config Config) (*S3, error) {
	config = config.withDefaults()
	b, err := s3.Connect(rawURL, s3.Config{Credentials: config.Credentials, Transport: config.Transport, Retries: config.retries})
	if err != nil {
		return nil, err
	}
	config.Credentials = s3.Credentials{} // the client has them, and prints none
	return &S3{bucket: b, core: b.Core(), config: config}, nil
}

// Begin implements Store.
func (s *S3) Begin(ctx context.Context, name string) error {
	o, err := s.object(name)
	if err != nil {
		return err
	}
	if err := s.checkConditional(ctx); err != nil {
		return err
	}
	l, err := s.load(ctx, o)
	switch {
	case err == nil && l.sealed():
		return sealed(name)
	case err == nil || !problem.Is(err, problem.NotFound):
		return err
	}
	id, _, _ := strings.Cut(name, "/")
	n := 0
	for _, err := range s.bucket.List(ctx, s.bucket.Prefix+"state/"+id+"/", true) {
		if err != nil {
			return s3Error(err, "begin", name)
		}
		if n++; n >= s.config.MaxFiles {
			return tooManyFiles(id, s.config.MaxFiles)
		}
	}
	err = s.save(ctx, o, &ledger{Nonce: rand.Text(), Hash: marshalHash(sha256.New()), Next: 1})
	if problem.Is(err, problem.Busy) { // begun by another at this moment
		return nil
	}
	return err
}

// checkConditional refuses a service that ignores the conditions of puts, because
// two writers would then mix their bytes.
func (s *S3) checkConditional(ctx context.Context) error {
	if s.conditional.Load() {
		return nil
	}
	kept, err := s.bucket.KeepsConditions(ctx, s.bucket.Prefix+"state/probe-")
	if err != nil {
		return s3Error(err, "write to", "the depot")
	}
	if !kept {
		return problem.New(problem.Unsupported, "depot-conditional", "s3",
			"该 S3 服务不支持条件写入（If-Match、If-None-Match），不能用作存放区；请换用 MinIO、Amazon S3 等支持的服务，或文件夹存放区",
			"this S3 service ignores conditional puts (If-Match, If-None-Match) and cannot be a depot; use one that keeps them, such as MinIO or Amazon S3, or a folder")
	}
	s.conditional.Store(true)
	return nil
}

// Append implements Store. Bytes are recorded part by part; a machine that dies
// loses at most Config.PartSize. The later of two calls at the same time goes on.
func (s *S3) Append(ctx context.Context, name string, offset int64, r io.Reader, most int64) (int64, error) {
	o, l, err := s.open(ctx, name)
	if err != nil {
		return 0, err
	}
	if offset != l.Size {
		return l.Size, wrongOffset(name, l.Size)
	}
	if err := s.take(ctx, o, l); err != nil {
		return l.Size, err
	}
	u := &upload{s: s, o: o, l: l, recorded: l.Size, sum: sha256.New(), buf: make([]byte, 0, s.config.PartSize)}
	if err := u.loadTail(ctx); err != nil {
		return u.recorded, err
	}
	err = u.copy(ctx, r, most)
	if u.lost {
		return u.recorded, err
	}
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), finish)
	defer cancel()
	if serr := u.saveTail(late); serr != nil {
		return u.recorded, errors.Join(err, serr)
	}
	return u.recorded, err
}

// open loads the ledger of an upload under way.
func (s *S3) open(ctx context.Context, name string) (object, *ledger, error) {
	o, err := s.object(name)
	if err != nil {
		return o, nil, err
	}
	l, err := s.load(ctx, o)
	if err != nil {
		return o, nil, err
	}
	if l.sealed() {
		return o, l, sealed(name)
	}
	return o, l, nil
}

func (s *S3) fileOptions(l *ledger) minio.PutObjectOptions {
	return minio.PutObjectOptions{ContentType: "application/octet-stream", UserMetadata: map[string]string{nonceHeader: l.Nonce}}
}

// Size implements Store.
func (s *S3) Size(ctx context.Context, name string) (int64, error) {
	o, err := s.object(name)
	if err != nil {
		return 0, err
	}
	l, err := s.load(ctx, o)
	if err != nil {
		return 0, err
	}
	return l.Size, nil
}

// Seal implements Store. The file is not read again: its sum was made as it came.
func (s *S3) Seal(ctx context.Context, name string) (int64, []byte, error) {
	o, l, err := s.open(ctx, name)
	if l != nil && l.sealed() {
		return l.Size, l.SHA256, s.removeTails(ctx, o, l)
	}
	if err != nil {
		return 0, nil, err
	}
	if err := s.take(ctx, o, l); err != nil {
		return 0, nil, err
	}
	sum := sha256.New()
	if err := unmarshalHash(sum, l.Hash); err != nil {
		return 0, nil, s3Error(err, "seal", name)
	}
	// A seal that was cut off may have come this far.
	done, err := s.complete(ctx, o, l)
	if err == nil && !done {
		err = s.build(ctx, o, l)
	}
	if err != nil {
		return 0, nil, err
	}
	l.SHA256, l.Open = sum.Sum(nil), false
	if err := s.save(ctx, o, l); err != nil {
		return 0, nil, err
	}
	return l.Size, l.SHA256, s.removeTails(ctx, o, l)
}

// complete reports whether the object is there, of this upload and of its size.
func (s *S3) complete(ctx context.Context, o object, l *ledger) (bool, error) {
	info, err := s.core.StatObject(ctx, s.bucket.Name, o.file, minio.StatObjectOptions{})
	if s3.IsMissing(err) {
		return false, nil
	}
	if err != nil {
		return false, s3Error(err, "seal", o.name)
	}
	return info.Size == l.Size && info.UserMetadata[nonceHeader] == l.Nonce, nil
}

// build makes the object from the parts and the tail.
func (s *S3) build(ctx context.Context, o object, l *ledger) error {
	u := &upload{s: s, o: o, l: l, sum: sha256.New()}
	if err := u.loadTail(ctx); err != nil {
		return err
	}
	if l.Upload == "" {
		if _, err := s.bucket.Put(ctx, o.file, u.buf, s.fileOptions(l)); err != nil {
			return s3Error(err, "seal", o.name)
		}
		return nil
	}
	if len(u.buf) > 0 {
		if err := u.sendPart(ctx); err != nil {
			return err
		}
	}
	parts := make([]minio.CompletePart, len(l.Parts))
	for i, p := range l.Parts {
		parts[i] = minio.CompletePart{PartNumber: p.Number, ETag: p.ETag}
	}
	if _, err := s.core.CompleteMultipartUpload(ctx, s.bucket.Name, o.file, l.Upload, parts, minio.PutObjectOptions{}); err != nil {
		if done, derr := s.complete(ctx, o, l); derr == nil && done {
			return nil
		}
		return s3Error(err, "seal", o.name)
	}
	return nil
}

// removeTails deletes what the turns of an upload left beside its parts.
func (s *S3) removeTails(ctx context.Context, o object, l *ledger) error {
	for info, err := range s.bucket.List(ctx, o.tails+l.Nonce+"-", true) {
		if err == nil {
			err = s.bucket.Remove(ctx, info.Key)
		}
		if err != nil {
			return s3Error(err, "tidy up after", o.name)
		}
	}
	return nil
}

// Remove implements Store.
func (s *S3) Remove(ctx context.Context, name string) error {
	o, err := s.object(name)
	if err != nil {
		return err
	}
	l, err := s.load(ctx, o)
	if err != nil && !problem.Is(err, problem.NotFound) {
		return err
	}
	if l != nil && !l.sealed() {
		// Whoever is writing loses its turn before anything is taken away.
		if err := s.take(ctx, o, l); err != nil {
			return err
		}
	}
	// All uploads of the key: a machine that died may have started one unrecorded.
	if err := s.core.RemoveIncompleteUpload(ctx, s.bucket.Name, o.file); err != nil && !s3.IsMissing(err) && !s3.IsNoUpload(err) {
		return s3Error(err, "remove", name)
	}
	if err := s.bucket.Remove(ctx, o.file); err != nil {
		return s3Error(err, "remove", name)
	}
	if l == nil {
		return nil
	}
	if err := s.removeTails(ctx, o, l); err != nil {
		return err
	}
	if err := s.bucket.Remove(ctx, o.ledger); err != nil {
		return s3Error(err, "remove", name)
	}
	return nil
}

// List implements Store.
func (s *S3) List(ctx context.Context, prefix string) ([]Entry, error) {
	if err := checkPrefix(prefix); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	found := make(map[string]Entry)
	files, state := s.bucket.Prefix+"files/", s.bucket.Prefix+"state/"
	for info, err := range s.bucket.List(ctx, state+prefix, true) {
		if err != nil {
			return nil, s3Error(err, "list", prefix)
		}
		name := strings.TrimPrefix(info.Key, state)
		if _, _, err := splitName(name); err != nil {
			continue
		}
		if found[name] = (Entry{Name: name, Modified: info.LastModified}); len(found) > maxList {
			return nil, listTooLong(prefix)
		}
	}
	for info, err := range s.bucket.List(ctx, files+prefix, true) {
		if err != nil {
			return nil, s3Error(err, "list", prefix)
		}
		name := strings.TrimPrefix(info.Key, files)
		if _, known := found[name]; known {
			found[name] = Entry{Name: name, Size: info.Size, Sealed: true, Modified: info.LastModified}
		}
	}
	out := make([]Entry, 0, len(found))
	for name, e := range found {
		if !e.Sealed {
			size, err := s.Size(ctx, name)
			if problem.Is(err, problem.NotFound) {
				continue // removed in between
			}
			if err != nil {
				return nil, err
			}
			e.Size = size
		}
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}
