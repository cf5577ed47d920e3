package depot

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"slices"

	"github.com/minio/minio-go/v7"

	"changde/s3"
)

// upload is one turn at a file. buf holds the bytes behind the parts, recorded or
// not yet.
type upload struct {
	s        *S3
	o        object
	l        *ledger
	recorded int64     // size that the stored ledger is known to tell
	lost     bool      // the turn is another's, or the ledger cannot be written
	sum      hash.Hash // over the parts and buf
	buf      []byte
}

// loadTail brings the bytes behind the parts, and the hash, to memory.
func (u *upload) loadTail(ctx context.Context) error {
	if err := unmarshalHash(u.sum, u.l.Hash); err != nil {
		return s3Error(err, "resume", u.o.name)
	}
	n := u.l.Size - u.l.partBytes()
	if n == 0 {
		return nil
	}
	r, _, _, err := u.s.core.GetObject(ctx, u.s.bucket.Name, u.l.Tail, minio.GetObjectOptions{})
	if err != nil {
		return s3Error(err, "resume", u.o.name)
	}
	defer r.Close()
	u.buf = slices.Grow(u.buf, int(n))[:n] // PartSize may have been another
	if _, err := io.ReadFull(r, u.buf); err != nil {
		return s3Error(err, "resume", u.o.name)
	}
	return nil
}

// copy takes what r has and records each full part.
func (u *upload) copy(ctx context.Context, r io.Reader, most int64) error {
	room, limit := u.s.config.bound(u.l.Size, most)
	r = contextReader{ctx, r}
	for {
		if int64(len(u.buf)) >= u.s.config.PartSize {
			if err := u.savePart(ctx); err != nil {
				return err
			}
		}
		if room == 0 { // one byte more shows that r has too much
			if _, err := io.ReadFull(r, make([]byte, 1)); err == nil {
				return tooLarge(u.o.name, limit)
			} else if err != io.EOF {
				return fmt.Errorf("depot: receive %s: %w", u.o.name, err)
			}
			return nil
		}
		from := len(u.buf)
		space := min(u.s.config.PartSize-int64(from), room)
		n, err := r.Read(u.buf[from : from+int(space)])
		u.buf = u.buf[:from+n]
		u.sum.Write(u.buf[from:])
		room -= int64(n)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("depot: receive %s: %w", u.o.name, err)
		}
	}
}

// savePart makes buf a part and records it.
func (u *upload) savePart(ctx context.Context) error {
	if err := u.sendPart(ctx); err != nil {
		return err
	}
	old := u.l.Tail
	u.l.Tail = ""
	u.l.Size = u.l.partBytes()
	u.l.Hash = marshalHash(u.sum)
	u.buf = u.buf[:0]
	return u.record(ctx, old)
}

// sendPart sends buf as the next part.
func (u *upload) sendPart(ctx context.Context) error {
	if u.l.Upload == "" {
		id, err := u.s.core.NewMultipartUpload(ctx, u.s.bucket.Name, u.o.file, u.s.fileOptions(u.l))
		if err != nil {
			return s3Error(err, "append to", u.o.name)
		}
		u.l.Upload = id
	}
	sum := sha256.Sum256(u.buf)
	p, err := u.s.core.PutObjectPart(ctx, u.s.bucket.Name, u.o.file, u.l.Upload, u.l.Next, bytes.NewReader(u.buf), int64(len(u.buf)),
		minio.PutObjectPartOptions{Sha256Hex: hex.EncodeToString(sum[:]), DisableContentSha256: true})
	if err != nil {
		if s3.IsNoUpload(err) { // sealed or removed meanwhile
			u.lost = true
			return busy(u.o.name)
		}
		return s3Error(err, "append to", u.o.name)
	}
	u.l.Parts = append(u.l.Parts, part{Number: u.l.Next, ETag: p.ETag, Size: int64(len(u.buf))})
	u.l.Next++
	return nil
}

// saveTail ends the turn: buf becomes an object beside the parts.
func (u *upload) saveTail(ctx context.Context) error {
	old := u.l.Tail
	size := u.l.partBytes() + int64(len(u.buf))
	if size > u.l.Size {
		key := u.o.tails + u.l.Nonce + "-" + u.l.Writer
		if _, err := u.s.bucket.Put(ctx, key, u.buf, minio.PutObjectOptions{}); err != nil {
			return s3Error(err, "append to", u.o.name)
		}
		u.l.Tail, u.l.Size, u.l.Hash = key, size, marshalHash(u.sum)
	}
	u.l.Open = false
	return u.record(ctx, old)
}

// record saves the ledger and deletes the tail it no longer names. When it
// cannot, the turn is over.
func (u *upload) record(ctx context.Context, oldTail string) error {
	if err := u.s.save(ctx, u.o, u.l); err != nil {
		u.lost = true
		return err
	}
	u.recorded = u.l.Size
	if oldTail != "" && oldTail != u.l.Tail {
		// One that stays is deleted by Seal or Remove.
		u.s.bucket.Remove(ctx, oldTail)
	}
	return nil
}
