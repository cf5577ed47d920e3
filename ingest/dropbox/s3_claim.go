package dropbox

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/minio/minio-go/v7"

	"changde/s3"
)

// claimObject is the content of .taken/<place>.json. Each change is a put on the
// condition that the object is the version last seen.
type claimObject struct {
	Nonce  string  `json:"nonce"`
	Beat   int     `json:"beat"`
	Record *record `json:"record,omitempty"` // once the outcome is known
}

const (
	claimExt = ".json"
	leftExt  = ".left" // .taken/<place>.<print>.left: refused, and too much to be moved
)

func (s *S3) claimKey(place string) string {
	return s.bucket.Prefix + takenName + "/" + place + claimExt
}

func (s *S3) leftKey(p *Parcel) string {
	return s.bucket.Prefix + takenName + "/" + p.place + "." + p.print + leftExt
}

// claims lists the claims and tells which are dead, and the keys of the parcels
// that were left where they are.
func (s *S3) claims(ctx context.Context, round int) (claimStates, map[string]bool, error) {
	base := s.bucket.Prefix + takenName + "/"
	out, left := make(claimStates), make(map[string]bool)
	for info, err := range s.bucket.List(ctx, base, false) {
		if err != nil {
			return nil, nil, fmt.Errorf("dropbox: list the claims: %w", err)
		}
		if len(out)+len(left) == maxClaims {
			return nil, nil, fmt.Errorf("dropbox: more than %d claims", maxClaims)
		}
		name := strings.TrimPrefix(info.Key, base)
		switch path.Ext(name) {
		case claimExt:
			place := strings.TrimSuffix(name, claimExt)
			still := s.watch.still("claim "+place, info.ETag, round)
			out[place] = claimState{holder: info.ETag, dead: still >= s.config.Lease}
		case leftExt:
			left[info.Key] = false
		}
	}
	return out, left, nil
}

// abandoned returns the parcel of a claim that nothing in the box belongs to.
func (s *S3) abandoned(ctx context.Context, place string) (Parcel, error) {
	c, _, err := s.load(ctx, place)
	if err != nil {
		return Parcel{}, err
	}
	if c.Record == nil {
		return Parcel{}, nil
	}
	return c.Record.parcel(), nil
}

// load reads the object of a claim, an empty one when there is none.
func (s *S3) load(ctx context.Context, place string) (c claimObject, version string, err error) {
	b, version, err := s.get(ctx, s.claimKey(place), maxRecord)
	if s3.IsMissing(err) {
		return c, "", nil
	}
	if err == nil {
		err = json.Unmarshal(b, &c)
	}
	if err != nil {
		return c, "", fmt.Errorf("dropbox: claim %s: %w", place, err)
	}
	return c, version, nil
}

// save writes the object of a claim in place of a version, of none when that is
// empty. It is ErrLost when another version is there.
func (s *S3) save(ctx context.Context, place string, c claimObject, version string) (string, error) {
	b, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("dropbox: claim %s: %w", place, err)
	}
	var opts minio.PutObjectOptions
	if version == "" {
		opts.SetMatchETagExcept("*")
	} else {
		opts.SetMatchETag(version)
	}
	written, err := s.bucket.Put(ctx, s.claimKey(place), b, opts)
	switch {
	case err == nil:
		return written, nil
	case s3.IsMissing(err):
		return "", ErrLost
	case !s3.IsConflict(err):
		return "", fmt.Errorf("dropbox: claim %s: %w", place, err)
	}
	// The client repeats a put whose answer was lost, and then meets its own work.
	there, found, err := s.load(ctx, place)
	if err != nil {
		return "", err
	}
	if there.Nonce != c.Nonce || there.Beat != c.Beat || (there.Record == nil) != (c.Record == nil) {
		return "", ErrLost
	}
	return found, nil
}

// Claim implements Box.
func (s *S3) Claim(ctx context.Context, p *Parcel) (bool, error) {
	if err := s.checkConditional(ctx); err != nil {
		return false, err
	}
	mine := claimObject{Nonce: rand.Text()}
	if p.dead != "" {
		there, version, err := s.load(ctx, p.place)
		if err != nil {
			return false, err
		}
		if version != p.dead {
			return false, nil
		}
		mine.Record = there.Record
	}
	version, err := s.save(ctx, p.place, mine, p.dead)
	if errors.Is(err, ErrLost) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	c := &claim{nonce: mine.Nonce, record: mine.Record, taken: true, version: version}
	if mine.Record.outcome() != nil {
		*p = mine.Record.parcel()
		p.claim = c
		return true, nil
	}
	p.claim = c
	// Another may have settled it since the scan.
	now, err := s.again(ctx, p)
	if err == nil && now.ID == p.ID && p.ID != "" {
		return true, nil
	}
	return false, errors.Join(err, s.Release(ctx, p))
}

// again describes a parcel as it is at this moment, without ID when it is gone.
func (s *S3) again(ctx context.Context, p *Parcel) (Parcel, error) {
	if p.sender == "" {
		return Parcel{}, nil
	}
	entries, err := s.entries(ctx, p.sender)
	if err != nil {
		return Parcel{}, fmt.Errorf("dropbox: sender %s: %w", p.Sender, err)
	}
	for _, g := range groups(entries) {
		if digest(p.sender, g.place) == p.place {
			now, _, err := s.parcel(ctx, p.sender, g)
			return now, err
		}
	}
	return Parcel{}, nil
}

// Renew implements Box.
func (s *S3) Renew(ctx context.Context, p *Parcel) error {
	c := p.claim
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.taken {
		return nil
	}
	return s.write(ctx, p)
}

// write puts the present state of a claim whose lock is held.
func (s *S3) write(ctx context.Context, p *Parcel) error {
	c := p.claim
	next := claimObject{Nonce: c.nonce, Beat: c.beat + 1, Record: c.record}
	version, err := s.save(ctx, p.place, next, c.version)
	if err != nil {
		return err
	}
	c.version, c.beat = version, next.Beat
	return nil
}

// Release implements Box.
func (s *S3) Release(ctx context.Context, p *Parcel) error {
	c := p.claim
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.taken {
		return nil
	}
	// S3 deletes without conditions: a last put makes sure that it is ours.
	if err := s.write(ctx, p); err != nil {
		return err
	}
	if err := s.bucket.Remove(ctx, s.claimKey(p.place)); err != nil {
		return fmt.Errorf("dropbox: release %s/%s: %w", p.Sender, p.Name, err)
	}
	c.taken = false
	return nil
}
