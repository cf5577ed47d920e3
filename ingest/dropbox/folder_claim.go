package dropbox

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A claim is the folder .taken/<place> with one empty file, whose name is the
// nonce of the watcher that has it and whose time is its last sign of life. All
// steps are renames, of which one can succeed:
//
//	claim      .taken/.new-<nonce>/ -> .taken/<place>/, refused while it is there with a file
//	take over  <place>/<dead nonce> -> <place>/<nonce>
//	release    <place>/<nonce> -> .taken/.gone-<nonce>, then both are removed
//
// <place>/record.json is written when the outcome is known. It is removed before
// the nonce, so that a claim without it has nothing to be carried through.
const recordName = "record.json"

// claims lists the claims and tells which are dead.
func (f *Folder) claims(round int) (claimStates, error) {
	entries, err := f.list(f.taken, maxClaims)
	if err != nil {
		return nil, fmt.Errorf("dropbox: list the claims: %w", err)
	}
	out := make(claimStates)
	var errs error
	for _, e := range entries {
		if strings.HasPrefix(e.raw, ".") {
			if f.watch.still("claim "+e.raw, "", round) >= f.config.Lease {
				f.tidy(e.raw)
			}
			continue
		}
		holder, beat, err := f.holder(e.raw)
		if err != nil {
			errs = errors.Join(errs, fmt.Errorf("dropbox: claim %s: %w", e.raw, err))
			continue
		}
		still := f.watch.still("claim "+e.raw, holder+" "+beat, round)
		dead := still >= f.config.Lease
		if dead && holder == "" {
			f.tidy(e.raw)
		}
		out[e.raw] = claimState{holder: holder, dead: dead}
	}
	return out, errs
}

// tidy removes what a watcher that died in the middle of a claim or a release
// left, and nothing that has a holder.
func (f *Folder) tidy(name string) {
	if d, err := openDirAt(f.taken, name); err == nil {
		defer d.Close()
		names, _ := namesIn(d, 100)
		for _, n := range names {
			if strings.HasPrefix(name, ".") || strings.HasPrefix(n, ".") {
				removeAt(d, n, false)
			}
		}
	}
	if err := removeAt(f.taken, name, true); errors.Is(err, unix.ENOTDIR) { // .gone-<nonce>
		removeAt(f.taken, name, false)
	}
}

// holder returns the nonce of a claim and its last sign of life. Both are empty
// for one that was being released.
func (f *Folder) holder(place string) (nonce, beat string, err error) {
	d, err := openDirAt(f.taken, place)
	if errors.Is(err, fs.ErrNotExist) {
		return "", "", nil
	}
	if err != nil {
		return "", "", err
	}
	defer d.Close()
	names, err := namesIn(d, 10)
	if err != nil {
		return "", "", err
	}
	for _, n := range names {
		if n == recordName || strings.HasPrefix(n, ".") {
			continue
		}
		e, _, err := statAt(d, n)
		if errors.Is(err, fs.ErrNotExist) {
			return "", "", nil
		}
		return n, e.mark, err
	}
	return "", "", nil
}

// abandoned returns the parcel of a claim that nothing in the box belongs to.
func (f *Folder) abandoned(place, _ string) (Parcel, error) {
	r, err := f.loadRecord(place)
	if err != nil || r == nil {
		return Parcel{}, err
	}
	return r.parcel(), nil
}

func (f *Folder) loadRecord(place string) (*record, error) {
	b, err := readAt(f.taken, place+"/"+recordName, maxRecord)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("dropbox: claim %s: %w", place, err)
	}
	var r record
	if err := json.Unmarshal(b, &r); err != nil {
		return nil, fmt.Errorf("dropbox: claim %s: %w", place, err)
	}
	return &r, nil
}

// Claim implements Box.
func (f *Folder) Claim(_ context.Context, p *Parcel) (bool, error) {
	nonce := rand.Text()
	var err error
	if p.dead == "" {
		err = f.claimNew(p.place, nonce)
	} else {
		err = f.takeOver(p.place, p.dead, nonce)
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrExist) || errors.Is(err, unix.ENOTEMPTY) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("dropbox: claim %s/%s: %w", p.Sender, p.Name, err)
	}
	p.claim = &claim{nonce: nonce, taken: true}
	if p.claim.record, err = f.loadRecord(p.place); err != nil {
		return false, errors.Join(err, f.release(p))
	}
	if p.recorded() != nil {
		kept := p.claim
		*p = p.claim.record.parcel()
		p.claim = kept
		return true, nil
	}
	// Another may have settled it since the scan.
	if len(p.Files) > 0 || p.Fault != nil {
		if now, err := f.again(p); err == nil && now.ID == p.ID {
			return true, nil
		}
	}
	return false, f.release(p)
}

func (f *Folder) claimNew(place, nonce string) error {
	fresh := ".new-" + nonce
	d, err := mkdirAt(f.taken, fresh, 0o700)
	if err != nil {
		return err
	}
	defer d.Close()
	if err = writeAt(d, nonce, nil, 0o600); err == nil {
		if err = renameAt(f.taken, fresh, f.taken, place); err == nil {
			return nil
		}
	}
	removeAt(d, nonce, false)
	return errors.Join(err, removeAt(f.taken, fresh, true))
}

func (f *Folder) takeOver(place, dead, nonce string) error {
	d, err := openDirAt(f.taken, place)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := renameAt(d, dead, d, nonce); err != nil {
		return err
	}
	return beat(d, nonce)
}

// beat gives a claim the present time, and fails when it is another's.
func beat(d *os.File, nonce string) error {
	now, err := unix.TimeToTimespec(time.Now())
	if err != nil {
		return err
	}
	return unix.UtimesNanoAt(int(d.Fd()), nonce, []unix.Timespec{now, now}, unix.AT_SYMLINK_NOFOLLOW)
}

// again describes a parcel as it is at this moment.
func (f *Folder) again(p *Parcel) (Parcel, error) {
	dir, err := openDirAt(f.root, p.sender)
	if err != nil {
		return Parcel{}, err
	}
	defer dir.Close()
	entries, err := f.list(dir, maxEntries)
	if err != nil {
		return Parcel{}, err
	}
	sender := entry{raw: p.sender, name: p.Sender}
	for _, g := range groups(entries) {
		if digest(p.sender, g.place) == p.place {
			return f.parcel(dir, sender, g)
		}
	}
	return Parcel{}, fs.ErrNotExist
}

// Renew implements Box.
func (f *Folder) Renew(_ context.Context, p *Parcel) error {
	d, err := openDirAt(f.taken, p.place)
	if err == nil {
		err = beat(d, p.claim.nonce)
		d.Close()
	}
	if errors.Is(err, fs.ErrNotExist) {
		return ErrLost
	}
	if err != nil {
		return fmt.Errorf("dropbox: renew the claim of %s/%s: %w", p.Sender, p.Name, err)
	}
	return nil
}

// Release implements Box.
func (f *Folder) Release(_ context.Context, p *Parcel) error { return f.release(p) }

func (f *Folder) release(p *Parcel) error {
	p.claim.mu.Lock()
	defer p.claim.mu.Unlock()
	if !p.claim.taken {
		return nil
	}
	d, err := f.held(p)
	if err != nil {
		return err
	}
	defer d.Close()
	names, err := namesIn(d, 100)
	for _, n := range names {
		if n == recordName || strings.HasPrefix(n, ".") {
			err = errors.Join(err, removeAt(d, n, false))
		}
	}
	if err != nil {
		return fmt.Errorf("dropbox: release %s/%s: %w", p.Sender, p.Name, err)
	}
	gone := ".gone-" + p.claim.nonce
	if err := renameAt(d, p.claim.nonce, f.taken, gone); err != nil {
		return lost(err)
	}
	p.claim.taken = false
	err = removeAt(f.taken, gone, false)
	// Another may claim the place at this moment, and the folder with it.
	if rerr := removeAt(f.taken, p.place, true); rerr != nil && !errors.Is(rerr, fs.ErrNotExist) && !errors.Is(rerr, unix.ENOTEMPTY) {
		err = errors.Join(err, rerr)
	}
	if err != nil {
		return fmt.Errorf("dropbox: release %s/%s: %w", p.Sender, p.Name, err)
	}
	return nil
}

// held opens the folder of a claim that is still this watcher's, and renews it.
func (f *Folder) held(p *Parcel) (*os.File, error) {
	d, err := openDirAt(f.taken, p.place)
	if err != nil {
		return nil, lost(err)
	}
	if err := beat(d, p.claim.nonce); err != nil {
		d.Close()
		return nil, lost(err)
	}
	return d, nil
}

func lost(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return ErrLost
	}
	return fmt.Errorf("dropbox: claim: %w", err)
}
