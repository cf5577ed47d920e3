package dropbox

import (
	"context"
	"fmt"

	"github.com/minio/minio-go/v7"

	"changde/s3"
)

// Settle implements Box. S3 cannot move: objects are copied, then deleted, and
// each is left when the sender has replaced it in between. A folder of more objects
// than Config.MaxFiles stays where it is, with only the reason written.
func (s *S3) Settle(ctx context.Context, p *Parcel, outcome Outcome) error {
	c := p.claim
	if c.record.outcome() == nil {
		r := newRecord(p, outcome)
		c.mu.Lock()
		c.record = r
		err := s.write(ctx, p)
		if err != nil {
			c.record = nil
		}
		c.mu.Unlock()
		if err != nil {
			return err
		}
	}
	r := c.record
	base := r.folder() + "/" + r.Target + "/"
	name, content := r.note()
	_, err := s.bucket.Put(ctx, s.key(p, base+name), content, minio.PutObjectOptions{ContentType: contentType(name)})
	if err == nil && p.Fault != nil && len(p.Files) == 0 {
		_, err = s.bucket.Put(ctx, s.leftKey(p), nil, minio.PutObjectOptions{})
	}
	if err == nil {
		err = s.move(ctx, p, base, name)
	}
	if err != nil {
		return fmt.Errorf("dropbox: move %s/%s to %s: %w", p.Sender, p.Name, r.folder(), err)
	}
	return s.Release(ctx, p)
}

func contentType(name string) string {
	if name == reasonName {
		return "text/plain; charset=utf-8"
	}
	return "application/json"
}

// move copies and deletes the objects. It may be repeated when it was cut off.
func (s *S3) move(ctx context.Context, p *Parcel, base, note string) error {
	for _, f := range p.Files {
		to := base + f.raw
		if f.raw == note {
			to = base + "_" + note
		}
		if err := s.moveObject(ctx, s.key(p, f.raw), s.key(p, to), f.mark, f.Size); err != nil {
			return err
		}
	}
	for _, e := range p.entries {
		if _, ok := marker(e); ok {
			if err := s.moveObject(ctx, s.key(p, e), s.key(p, base+e), "", 0); err != nil {
				return err
			}
		}
	}
	return nil
}

// moveObject copies and deletes an object that is still of this version. An empty
// version stands for any.
func (s *S3) moveObject(ctx context.Context, from, to, version string, size int64) error {
	source := minio.CopySrcOptions{Bucket: s.bucket.Name, Object: from, MatchETag: version}
	dest := minio.CopyDestOptions{Bucket: s.bucket.Name, Object: to}
	same, err := s.same(ctx, from, version)
	if err != nil || !same {
		return err
	}
	if size <= maxCopy {
		_, err = s.bucket.Client.CopyObject(ctx, dest, source)
	} else {
		_, err = s.bucket.Client.ComposeObject(ctx, dest, source)
	}
	if s3.IsMissing(err) || s3.IsConflict(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if same, err = s.same(ctx, from, version); err != nil || !same {
		return err
	}
	return s.bucket.Remove(ctx, from)
}

// same reports whether an object is there in this version.
func (s *S3) same(ctx context.Context, key, version string) (bool, error) {
	info, err := s.bucket.Core().StatObject(ctx, s.bucket.Name, key, minio.StatObjectOptions{})
	if s3.IsMissing(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return version == "" || info.ETag == version, nil
}
