package dropbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// Settle implements Box.
func (f *Folder) Settle(ctx context.Context, p *Parcel, outcome Outcome) error {
	r := p.claim.record
	if r.outcome() == nil {
		r = newRecord(p, outcome)
		if err := f.saveRecord(p, r); err != nil {
			return err
		}
		p.claim.record = r
	}
	if err := f.move(ctx, p, r); err != nil {
		return fmt.Errorf("dropbox: move %s/%s to %s: %w", p.Sender, p.Name, r.folder(), err)
	}
	return f.release(p)
}

// saveRecord writes the record of a claim that is still this watcher's.
func (f *Folder) saveRecord(p *Parcel, r *record) error {
	b, err := encode(r)
	if err != nil {
		return err
	}
	d, err := f.held(p)
	if err != nil {
		return err
	}
	defer d.Close()
	tmp := ".record-" + p.claim.nonce
	if err := writeAt(d, tmp, b, 0o600); err != nil {
		return fmt.Errorf("dropbox: record %s/%s: %w", p.Sender, p.Name, errors.Join(err, removeAt(d, tmp, false)))
	}
	if err := renameAt(d, tmp, d, recordName); err != nil {
		return fmt.Errorf("dropbox: record %s/%s: %w", p.Sender, p.Name, err)
	}
	return nil
}

// move brings the parcel to its folder. It may be repeated when it was cut off.
func (f *Folder) move(ctx context.Context, p *Parcel, r *record) error {
	sender, err := openDirAt(f.root, p.sender)
	if errors.Is(err, fs.ErrNotExist) { // the sender's folder is gone with all in it
		return nil
	}
	if err != nil {
		return err
	}
	defer sender.Close()
	kind, err := mkdirAt(sender, r.folder(), 0o755)
	if err != nil {
		return err
	}
	defer kind.Close()
	to, err := mkdirAt(kind, r.Target, 0o755)
	if err != nil {
		return err
	}
	defer to.Close()
	if now, err := f.again(p); err == nil && now.print == p.print || p.Fault != nil && err == nil && now.ID == p.ID {
		err = moveWhole(sender, to, p.entries)
		if err != nil {
			return err
		}
	} else if err := moveFiles(ctx, sender, to, p); err != nil {
		return err
	}
	name, content := r.note()
	return writeNote(to, name, content, p.entries)
}

// moveWhole moves files and folders as they are.
func moveWhole(sender, to *os.File, entries []string) error {
	for _, e := range entries {
		if err := renameAt(sender, e, to, e); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// moveFiles moves what was received, and leaves what the sender has put or changed
// since then: it is the next parcel.
func moveFiles(ctx context.Context, sender, to *os.File, p *Parcel) error {
	for _, file := range p.Files {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := moveFile(sender, to, file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	for _, e := range p.entries {
		if _, ok := marker(decodeName(e)); !ok {
			continue
		}
		if err := renameAt(sender, e, to, e); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if p.Folder {
		removeEmpty(sender, p)
	}
	return nil
}

func moveFile(sender, to *os.File, file File) error {
	from, name, err := parentAt(sender, file.raw)
	if err != nil {
		return err
	}
	defer from.Close()
	now, special, err := statAt(from, name)
	if err != nil || special || now.dir || now.size != file.Size || now.mark != file.mark {
		return err
	}
	at, err := dupDir(to)
	if err != nil {
		return err
	}
	defer func() { at.Close() }()
	for rest := file.raw; ; {
		part, next, more := strings.Cut(rest, "/")
		if !more {
			break
		}
		sub, err := mkdirAt(at, part, 0o755)
		if err != nil {
			return err
		}
		at.Close()
		at, rest = sub, next
	}
	return renameAt(from, name, at, name)
}

// removeEmpty removes the folders of a parcel, deepest first; those that hold
// something new stay.
func removeEmpty(sender *os.File, p *Parcel) {
	for i := len(p.Files) - 1; i >= 0; i-- {
		for dir := p.Files[i].raw; ; {
			at := strings.LastIndexByte(dir, '/')
			if at < 0 {
				break
			}
			dir = dir[:at]
			parent, name, err := parentAt(sender, dir)
			if err != nil {
				break
			}
			err = removeAt(parent, name, true)
			parent.Close()
			if err != nil {
				break
			}
		}
	}
}

// writeNote writes the receipt or the reason, under a name that no file of the
// sender has. What a watcher that died left of it is replaced.
func writeNote(to *os.File, name string, content []byte, entries []string) error {
	base, ext, _ := strings.Cut(name, ".")
	for i := 2; slices.Contains(entries, name); i++ {
		name = fmt.Sprintf("%s-%d.%s", base, i, ext)
	}
	tmp := "." + name
	if err := removeAt(to, tmp, false); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := writeAt(to, tmp, content, 0o644); err != nil {
		return err
	}
	return renameAt(to, tmp, to, name)
}
