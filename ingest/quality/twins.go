package quality

import (
	"cmp"
	"encoding/binary"
	"slices"
)

// twins finds rows with the same hash, in memory that does not grow with their
// number: the hashes are written into the buckets of a spill file.
type twins struct {
	spill  *spill
	record [16]byte
}

// twinBuckets is how many parts the hashes are judged in.
const twinBuckets = 64

func (c *checker) newTwins() (*twins, error) {
	s, err := c.newSpill(twinBuckets)
	if err != nil {
		return nil, err
	}
	return &twins{spill: s}, nil
}

func (t *twins) add(hash uint64, fid int64) error {
	binary.LittleEndian.PutUint64(t.record[:], hash)
	binary.LittleEndian.PutUint64(t.record[8:], uint64(fid))
	return t.spill.write(int(hash%twinBuckets), t.record[:])
}

// groups returns the rows of each hash that several have, sorted, by the first.
func (t *twins) groups() ([][]int64, error) {
	type hashed struct {
		hash uint64
		fid  int64
	}
	var all []hashed
	var out [][]int64
	for n := range t.spill.buckets {
		all = all[:0]
		err := t.spill.each(n, func(b []byte) error { // a block holds whole records
			for ; len(b) > 0; b = b[16:] {
				all = append(all, hashed{binary.LittleEndian.Uint64(b), int64(binary.LittleEndian.Uint64(b[8:]))})
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		slices.SortFunc(all, func(a, b hashed) int { return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.fid, b.fid)) })
		for i := 0; i < len(all); {
			k := i + 1
			for k < len(all) && all[k].hash == all[i].hash {
				k++
			}
			if k > i+1 {
				g := make([]int64, 0, k-i)
				for _, h := range all[i:k] {
					g = append(g, h.fid)
				}
				out = append(out, g)
			}
			i = k
		}
	}
	slices.SortFunc(out, func(a, b []int64) int { return cmp.Compare(a[0], b[0]) })
	return out, nil
}

func (t *twins) close() { t.spill.close() }
