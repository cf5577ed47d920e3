package depot

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
)

// folderState is what stands beside a file so that it is hashed once only.
type folderState struct {
	Size   int64  `json:"size"`   // bytes that Hash covers
	Hash   []byte `json:"hash"`   // state of the SHA-256 after them
	SHA256 []byte `json:"sha256"` // of a sealed file
}

// resumeHash returns the hash of the first size bytes of an upload. Those since
// the last saved state, which a killed process leaves, are read again.
func (f *Folder) resumeHash(ctx context.Context, r io.ReaderAt, name string, size int64) (hash.Hash, error) {
	sum := sha256.New()
	state, err := f.loadState(name)
	if err != nil || state.Size < 0 || state.Size > size || unmarshalHash(sum, state.Hash) != nil {
		state.Size = 0
		sum.Reset()
	}
	gap := io.NewSectionReader(r, state.Size, size-state.Size)
	if n, err := io.CopyBuffer(struct{ io.Writer }{sum}, contextReader{ctx, gap}, make([]byte, 256<<10)); err != nil {
		return nil, diskError(err, "hash", name)
	} else if n != size-state.Size {
		return nil, diskError(io.ErrUnexpectedEOF, "hash", name)
	}
	return sum, nil
}

func (f *Folder) loadState(name string) (folderState, error) {
	var s folderState
	r, err := f.root.Open(filepath.Join(stateDir, filepath.FromSlash(name)))
	if err != nil {
		return s, err
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, 64<<10))
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal(b, &s)
}

// saveState replaces a state as a whole.
func (f *Folder) saveState(name string, s folderState) error {
	b, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("depot: state of %s: %w", name, err)
	}
	tmp := filepath.Join(tmpDir, rand.Text())
	w, err := f.root.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return diskError(err, "save the state of", name)
	}
	_, err = w.Write(b)
	err = cmp.Or(err, w.Sync(), w.Close())
	if err == nil {
		err = f.root.Rename(tmp, filepath.Join(stateDir, filepath.FromSlash(name)))
	}
	if err != nil {
		return errors.Join(diskError(err, "save the state of", name), f.root.Remove(tmp))
	}
	return nil
}

func marshalHash(h hash.Hash) []byte {
	b, err := h.(encoding.BinaryMarshaler).MarshalBinary()
	if err != nil {
		return nil // the file is then hashed again from its start
	}
	return b
}

func unmarshalHash(h hash.Hash, b []byte) error {
	return h.(encoding.BinaryUnmarshaler).UnmarshalBinary(b)
}
