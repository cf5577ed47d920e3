package pmtiles

import "sync"

// maxCached bounds the entries of the leaf directories that an archive keeps, 24
// bytes each.
const maxCached = 1 << 20

// cache keeps leaf directories by where they lie. When the young ones are half of
// what may be kept they become old, and those that were old and not asked for since
// are forgotten.
type cache struct {
	mu         sync.RWMutex
	young, old map[uint64][]entry
	weight     int // entries of the young
}

// get returns a leaf directory that begins with the id.
func (c *cache) get(offset, id uint64) ([]entry, bool) {
	c.mu.RLock()
	leaf, ok := c.young[offset]
	kept := ok
	if !ok {
		leaf, ok = c.old[offset]
	}
	c.mu.RUnlock()
	if ok && leaf[0].id != id {
		return nil, false
	}
	if ok && !kept {
		c.put(offset, leaf)
	}
	return leaf, ok
}

func (c *cache) put(offset uint64, leaf []entry) {
	if len(leaf) > maxCached/2 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.young[offset]; ok {
		return
	}
	if c.young == nil || c.weight+len(leaf) > maxCached/2 {
		c.young, c.old = make(map[uint64][]entry), c.young
		c.weight = 0
	}
	c.young[offset] = leaf
	c.weight += len(leaf)
}
