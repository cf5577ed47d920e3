package dropbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"github.com/minio/minio-go/v7"

	"changde/problem"
	"changde/s3"
)

// S3 is a Box in a bucket: <prefix><sender>/<anything>. The service must refuse
// puts whose condition (If-Match, If-None-Match) does not hold, as Amazon S3 and
// MinIO do; the first Claim tests that.
type S3 struct {
	config      Config
	bucket      s3.Bucket
	watch       watchdog
	round       atomic.Int64
	conditional atomic.Bool // the service was seen to keep conditions
}

// clockError is by how much a client's clock may be wrong: S3 refuses its requests
// beyond that.
const clockError = 15 * time.Minute

// maxCopy is the largest object that S3 copies in one request.
const maxCopy = 5 << 30

// NewS3 opens the box in a bucket. Nothing is contacted.
func NewS3(bucket s3.Bucket, config Config) *S3 {
	return &S3{config: config.withDefaults(), bucket: bucket}
}

// Scan implements Box. An object is complete as it appears; a set or a folder is
// when nothing came for Config.Settle, as this S3 has seen it or by LastModified.
func (s *S3) Scan(ctx context.Context) ([]Parcel, error) {
	round := int(s.round.Add(1))
	claims, left, errs := s.claims(ctx, round)
	if claims == nil {
		return nil, errs
	}
	var out []Parcel
	count := 0
	for info, err := range s.bucket.List(ctx, s.bucket.Prefix, false) {
		if err != nil {
			return out, errors.Join(errs, fmt.Errorf("dropbox: list the box: %w", err))
		}
		name, isSender := strings.CutSuffix(strings.TrimPrefix(info.Key, s.bucket.Prefix), "/")
		if !isSender || litter(name) {
			continue
		}
		if count++; count > maxSenders {
			errs = errors.Join(errs, fmt.Errorf("dropbox: more than %d senders", maxSenders))
			break
		}
		parcels, err := s.sender(ctx, name, round, left)
		if err != nil {
			errs = errors.Join(errs, fmt.Errorf("dropbox: sender %s: %w", name, err))
		}
		out = append(out, parcels...)
	}
	s.watch.forget(round - 1)
	for key, present := range left {
		if errs == nil && !present { // the sender has changed it or taken it away
			errs = s.bucket.Remove(ctx, key)
		}
	}
	out, err := claims.apply(out, func(place, _ string) (Parcel, error) { return s.abandoned(ctx, place) })
	return out, errors.Join(errs, err)
}

// sender lists the complete parcels of a sender, and marks those in left that are
// as they were.
func (s *S3) sender(ctx context.Context, name string, round int, left map[string]bool) ([]Parcel, error) {
	entries, err := s.entries(ctx, name)
	if err != nil {
		return nil, err
	}
	var out []Parcel
	for _, g := range groups(entries) {
		p, newest, err := s.parcel(ctx, name, g)
		if err != nil {
			return out, fmt.Errorf("%s: %w", g.name, err)
		}
		if key := s.leftKey(&p); p.Fault != nil {
			if _, was := left[key]; was {
				left[key] = true
				continue
			}
		}
		still := s.stillness(s.watch.still(p.place, p.print, round), newest)
		if (len(p.Files) > 0 || p.Fault != nil) && s.config.complete(g, still) {
			out = append(out, p)
		}
	}
	return out, nil
}

// stillness returns for how long nothing has changed: as seen, or by the time of
// the newest object as far as clocks can be trusted.
func (s *S3) stillness(seen time.Duration, newest time.Time) time.Duration {
	if newest.IsZero() {
		return seen
	}
	return max(seen, time.Since(newest)-clockError)
}

// entries lists a sender's folder.
func (s *S3) entries(ctx context.Context, sender string) ([]entry, error) {
	base := s.bucket.Prefix + sender + "/"
	var out []entry
	for info, err := range s.bucket.List(ctx, base, false) {
		if err != nil {
			return nil, err
		}
		if name := strings.TrimPrefix(info.Key, base); name != "" {
			if len(out) == maxEntries {
				return nil, fmt.Errorf("more than %d entries; move some away", maxEntries)
			}
			out = append(out, entryOfObject(info, name))
		}
	}
	return out, nil
}

func entryOfObject(info minio.ObjectInfo, name string) entry {
	trimmed, dir := strings.CutSuffix(name, "/")
	return entry{raw: trimmed, name: trimmed, dir: dir, size: info.Size, modified: info.LastModified, mark: info.ETag, touch: fmt.Sprint(info.LastModified.UnixNano())}
}

// parcel describes a group as a parcel, and tells when its newest object came.
func (s *S3) parcel(ctx context.Context, sender string, g group) (Parcel, time.Time, error) {
	p := Parcel{Sender: sender, Name: g.name, place: digest(sender, g.place), sender: sender}
	var print []string
	var newest time.Time
	add := func(e entry) {
		print = append(print, e.raw, fmt.Sprint(e.size), e.mark, e.touch)
		if e.modified.After(newest) {
			newest = e.modified
		}
	}
	for _, e := range g.entries {
		p.entries = append(p.entries, e.raw)
		if !e.dir {
			add(e)
			p.Files = append(p.Files, fileOf(e, e.raw, e.name))
			continue
		}
		p.Folder = true
		if err := s.folder(ctx, &p, e.raw, add); err != nil {
			return p, newest, err
		}
	}
	for _, m := range g.markers {
		p.entries = append(p.entries, m.raw)
	}
	if p.Fault != nil { // it is not listed whole, and stays
		p.Files = nil
	}
	s.config.identify(&p)
	p.print = digest(print...)
	return p, newest, nil
}

// folder lists the objects of a folder that is a parcel.
func (s *S3) folder(ctx context.Context, p *Parcel, name string, add func(entry)) error {
	base := s.bucket.Prefix + p.sender + "/"
	count := 0
	for info, err := range s.bucket.List(ctx, base+name+"/", true) {
		if err != nil {
			return err
		}
		path := strings.TrimPrefix(info.Key, base)
		if strings.HasSuffix(path, "/") { // what consoles make for an empty folder
			continue
		}
		if count++; count > s.config.MaxFiles {
			p.Fault = tooMany(p.Name, s.config.MaxFiles)
			return nil
		}
		if strings.Count(path, "/") > s.config.MaxDepth {
			p.Fault = tooDeep(path, s.config.MaxDepth)
			return nil
		}
		e := entryOfObject(info, path)
		add(e)
		if last := path[strings.LastIndexByte(path, '/')+1:]; !litter(last) && !strings.Contains(path, "/__MACOSX/") {
			p.Files = append(p.Files, fileOf(e, path, path))
		}
	}
	return nil
}

// Fetch implements Box.
func (s *S3) Fetch(ctx context.Context, p *Parcel, dir string) ([]string, error) {
	paths := make([]string, len(p.Files))
	for i := range p.Files {
		file := &p.Files[i]
		path, err := target(dir, file.Name)
		if err == nil {
			err = s.fetch(ctx, p, file, path)
		}
		if err != nil {
			return nil, fmt.Errorf("dropbox: fetch %s/%s: %w", p.Sender, file.Name, err)
		}
		paths[i] = path
	}
	return paths, nil
}

func (s *S3) fetch(ctx context.Context, p *Parcel, file *File, path string) error {
	opts := minio.GetObjectOptions{}
	if err := opts.SetMatchETag(file.mark); err != nil {
		return err
	}
	r, info, _, err := s.bucket.Core().GetObject(ctx, s.bucket.Name, s.key(p, file.raw), opts)
	if s3.IsMissing(err) || s3.IsConflict(err) || err == nil && (info.ETag != file.mark || info.Size != file.Size) {
		if err == nil {
			r.Close()
		}
		return errors.Join(ErrChanged, err)
	}
	if err != nil {
		return err
	}
	defer r.Close()
	n, sum, err := copyOut(ctx, r, path, file.Size)
	if err != nil {
		return err
	}
	if n != file.Size {
		return io.ErrUnexpectedEOF
	}
	file.SHA256 = sum
	return nil
}

// key is the key of a path below the sender's folder.
func (s *S3) key(p *Parcel, path string) string { return s.bucket.Prefix + p.sender + "/" + path }

func (s *S3) get(ctx context.Context, key string, limit int64) (content []byte, etag string, err error) {
	r, info, _, err := s.bucket.Core().GetObject(ctx, s.bucket.Name, key, minio.GetObjectOptions{})
	if err != nil {
		return nil, "", err
	}
	defer r.Close()
	content, err = io.ReadAll(io.LimitReader(r, limit))
	return content, info.ETag, err
}

// checkConditional refuses a service that ignores the conditions of puts: each
// watcher would then believe that a parcel is its own.
func (s *S3) checkConditional(ctx context.Context) error {
	if s.conditional.Load() {
		return nil
	}
	kept, err := s.bucket.KeepsConditions(ctx, s.bucket.Prefix+takenName+"/.probe-")
	if err != nil {
		return fmt.Errorf("dropbox: write to the box: %w", err)
	}
	if !kept {
		return problem.New(problem.Unsupported, "dropbox-conditional", "s3",
			"该 S3 服务不支持条件写入（If-Match、If-None-Match），不能用作收件箱；请换用 MinIO、Amazon S3 等支持的服务，或文件夹收件箱",
			"this S3 service ignores conditional puts (If-Match, If-None-Match) and cannot be a drop box; use one that keeps them, such as MinIO or Amazon S3, or a folder")
	}
	s.conditional.Store(true)
	return nil
}
