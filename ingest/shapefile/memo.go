package shapefile

// memo remembers the values that a column had last, by their bytes. The columns
// of a delivery hold codes and names that repeat over many rows: sharing the
// value saves decoding it and an allocation or two each time. A column that does
// not repeat is found out and no longer looked up.
type memo struct {
	slots   []slot
	lookups int
	hits    int
	off     bool
}

type slot struct {
	value any
	size  uint8
	key   [maxKey]byte
}

const (
	memoSlots = 64 // a power of two
	maxKey    = 47
	trial     = 4096 // look-ups after which a column must have paid
)

// at returns the slot of a key.
func at(b []byte) int {
	const mix = 0x9E3779B97F4A7C15
	h := uint64(len(b)) * mix
	for len(b) >= 8 {
		h = (h ^ le.Uint64(b)) * mix
		h ^= h >> 29
		b = b[8:]
	}
	var tail uint64
	for _, c := range b {
		tail = tail<<8 | uint64(c)
	}
	h = (h ^ tail) * mix
	return int(h >> (64 - 6))
}

// find returns the slot that holds the value for b, nil if there is none.
func (m *memo) find(b []byte) *slot {
	if m.off || len(b) > maxKey || m.slots == nil {
		return nil
	}
	m.lookups++
	s := &m.slots[at(b)]
	if int(s.size) == len(b) && string(s.key[:s.size]) == string(b) {
		m.hits++
		return s
	}
	if m.lookups >= trial {
		if m.hits < m.lookups/4 {
			m.off, m.slots = true, nil
			return nil
		}
		m.lookups, m.hits = 0, 0
	}
	return nil
}

// keep remembers the value for b, which is not empty.
func (m *memo) keep(b []byte, v any) {
	if m.off || len(b) > maxKey {
		return
	}
	if m.slots == nil {
		m.slots = make([]slot, memoSlots)
	}
	s := &m.slots[at(b)]
	s.value, s.size = v, uint8(copy(s.key[:], b))
}
