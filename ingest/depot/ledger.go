package depot

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/minio/minio-go/v7"

	"changde/s3"
)

// maxLedger bounds the object that holds a ledger: 10,000 parts with their sums.
const maxLedger = 4 << 20

// ledger is what S3 keeps about one file, in an object of its own. It changes by
// conditional puts only, so that of several writers one at most goes on.
type ledger struct {
	Nonce  string `json:"nonce"`           // of this upload, marks the object it becomes
	Writer string `json:"writer"`          // whose turn it is
	Open   bool   `json:"open"`            // the writer has not ended its turn
	Size   int64  `json:"size"`            // of the parts and the tail
	Hash   []byte `json:"hash"`            // state of the SHA-256 after Size bytes
	Tail   string `json:"tail"`            // key of the object with the bytes behind the parts
	Upload string `json:"upload"`          // id of the multipart upload, once there is one
	Next   int    `json:"next"`            // number of the next part
	Parts  []part `json:"parts,omitempty"` // in order; numbers may be left out
	SHA256 []byte `json:"sha256"`          // of a sealed file

	etag string // of the object this was read from or written as
}

type part struct {
	Number int    `json:"number"`
	ETag   string `json:"etag"`
	Size   int64  `json:"size"`
}

func (l *ledger) sealed() bool { return l.SHA256 != nil }

// partBytes returns the size of the parts, without the tail.
func (l *ledger) partBytes() int64 {
	var n int64
	for _, p := range l.Parts {
		n += p.Size
	}
	return n
}

// object names the keys of one file.
type object struct {
	name   string // of the Store
	file   string // the sealed file
	ledger string
	tails  string // beginning of the keys of tails
}

func (s *S3) object(name string) (object, error) {
	id, file, err := splitName(name)
	if err != nil {
		return object{}, err
	}
	p := s.bucket.Prefix
	return object{name: name, file: p + "files/" + id + "/" + file, ledger: p + "state/" + id + "/" + file, tails: p + "tail/" + id + "/"}, nil
}

// load reads a ledger. One that is not there is problem "depot-unknown".
func (s *S3) load(ctx context.Context, o object) (*ledger, error) {
	r, info, _, err := s.core.GetObject(ctx, s.bucket.Name, o.ledger, minio.GetObjectOptions{})
	if s3.IsMissing(err) {
		return nil, unknown(o.name)
	}
	if err != nil {
		return nil, s3Error(err, "look up", o.name)
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, maxLedger))
	if err != nil {
		return nil, s3Error(err, "look up", o.name)
	}
	l := &ledger{etag: info.ETag}
	if err := json.Unmarshal(b, l); err != nil {
		return nil, s3Error(err, "look up", o.name)
	}
	return l, nil
}

// save writes l in the place of the version it was read as, or as the first one.
// When another was quicker it is problem "depot-busy".
func (s *S3) save(ctx context.Context, o object, l *ledger) error {
	b, err := json.Marshal(l)
	if err != nil {
		return s3Error(err, "record", o.name)
	}
	var opts minio.PutObjectOptions
	if l.etag == "" {
		opts.SetMatchETagExcept("*")
	} else {
		opts.SetMatchETag(l.etag)
	}
	opts.ContentType = "application/json"
	etag, err := s.bucket.Put(ctx, o.ledger, b, opts)
	if err == nil {
		l.etag = etag
		return nil
	}
	if s3.IsMissing(err) && l.etag != "" { // removed meanwhile
		return unknown(o.name)
	}
	if !s3.IsConflict(err) {
		return s3Error(err, "record", o.name)
	}
	// The client repeats a put whose answer was lost, and then meets its own work.
	stored, lerr := s.load(ctx, o)
	if lerr != nil || stored.Writer != l.Writer || stored.Size != l.Size || stored.Open != l.Open || stored.Next != l.Next || stored.sealed() != l.sealed() {
		return busy(o.name)
	}
	l.etag = stored.etag
	return nil
}

// take gives the next turn to this caller. Whoever had it and still believes so
// cannot record anything any more, and the one part it may yet send gets a number
// that is never used.
func (s *S3) take(ctx context.Context, o object, l *ledger) error {
	if l.Open {
		l.Next++
	}
	if l.Next > maxParts {
		return fmt.Errorf("depot: %s: the upload was cut off too often; remove it and send it again", o.name)
	}
	l.Writer, l.Open = rand.Text(), true
	return s.save(ctx, o, l)
}

// s3Error adds what was done, and tells a full store from other trouble.
func s3Error(err error, doing, name string) error {
	r := minio.ToErrorResponse(err)
	err = fmt.Errorf("depot: %s %s in S3: %w", doing, name, err)
	if r.StatusCode == http.StatusInsufficientStorage || strings.Contains(r.Code, "StorageFull") || strings.Contains(r.Code, "QuotaExceeded") {
		return full(err)
	}
	return err
}
