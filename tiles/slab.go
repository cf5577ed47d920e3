package tiles

// slab gives out pieces of larger pieces of memory, which are cheaper to get and to
// collect than one for each row.
type slab[T any] struct{ free []T }

// slabSize is how many items are got at once.
const slabSize = 16 << 10

// clone copies items into the slab.
func (s *slab[T]) clone(items []T) []T {
	if len(items) > len(s.free) {
		s.free = make([]T, max(slabSize, len(items)))
	}
	out := s.free[:len(items):len(items)]
	s.free = s.free[len(items):]
	copy(out, items)
	return out
}
