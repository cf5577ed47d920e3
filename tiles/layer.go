package tiles

import (
	"encoding/binary"
	"math"
	"unicode/utf8"
)

// The field numbers and wire types of vector_tile.proto (MVT 2.1, appendix A),
// as the key bytes of the wire.
const (
	keyLayer = 3<<3 | 2

	keyName    = 1<<3 | 2
	keyFeature = 2<<3 | 2
	keyKey     = 3<<3 | 2
	keyValue   = 4<<3 | 2
	keyExtent  = 5 << 3
	keyVersion = 15 << 3

	keyID       = 1 << 3
	keyTags     = 2<<3 | 2
	keyType     = 3 << 3
	keyGeometry = 4<<3 | 2

	keyString = 1<<3 | 2
	keyDouble = 3<<3 | 1
	keyInt    = 4 << 3
	keySint   = 6 << 3
	keyBool   = 7 << 3
)

// layer is an MVT layer in the making. Rows are added in the order of their
// importance, and encode can leave out the last of them.
type layer struct {
	name   string
	keys   []string
	body   []byte // the features, ready
	values []byte // the values, ready, in the order of their first use
	count  uint32 // of values
	index  map[string]uint32
	use    []use // by key
	marks  []mark

	value []byte // scratch
	tags  []byte
	text  [64]byte
}

// use tells how often a value of a key had been there before.
type use struct{ hits, lookups int }

// unique reports whether looking values up is not worth the while, as for a
// business key: a value may stand in a layer twice.
func (u use) unique() bool { return u.lookups >= 128 && u.hits < u.lookups/8 }

// mark is where a row ends in body and values.
type mark struct{ body, values int }

func newLayer(name string, keys []string) *layer {
	return &layer{name: name, keys: keys, index: make(map[string]uint32), use: make([]use, len(keys))}
}

// The methods tag* add one attribute of the row that add will add; attributes
// that have no value are not added.

func (l *layer) tagString(key int, v []byte) {
	v = shorten(v)
	l.value = binary.AppendUvarint(append(l.value[:0], keyString), uint64(len(v)))
	l.value = append(l.value, v...)
	l.tag(key)
}

func (l *layer) tagInt(key int, v int64) {
	if v >= 0 {
		l.value = binary.AppendUvarint(append(l.value[:0], keyInt), uint64(v))
	} else {
		l.value = binary.AppendVarint(append(l.value[:0], keySint), v)
	}
	l.tag(key)
}

func (l *layer) tagDouble(key int, v float64) {
	if v-v != 0 { // NaN and the infinities mean nothing in a map's style
		return
	}
	l.value = binary.LittleEndian.AppendUint64(append(l.value[:0], keyDouble), math.Float64bits(v))
	l.tag(key)
}

func (l *layer) tagBool(key int, v bool) {
	l.value = append(l.value[:0], keyBool, 0)
	if v {
		l.value[1] = 1
	}
	l.tag(key)
}

func (l *layer) tag(key int) {
	i, found := l.count, false
	if u := &l.use[key]; !u.unique() {
		u.lookups++
		if i, found = l.index[string(l.value)]; found {
			u.hits++
		} else {
			i = l.count
			l.index[string(l.value)] = i
		}
	}
	if !found {
		l.count++
		l.values = binary.AppendUvarint(append(l.values, keyValue), uint64(len(l.value)))
		l.values = append(l.values, l.value...)
	}
	l.tags = binary.AppendUvarint(l.tags, uint64(key))
	l.tags = binary.AppendUvarint(l.tags, uint64(i))
}

// add adds a row with the attributes tagged since the last: one feature for each
// kind of geometry it has, all of the same id, as a feature of MVT has one kind.
func (l *layer) add(fid int64, out *[kinds]commands) {
	for kind := range out {
		geometry := out[kind].b
		if len(geometry) == 0 {
			continue
		}
		size := 2 + 1 + lengthSize(len(geometry)) + len(geometry)
		if fid >= 0 {
			size += 1 + uvarintSize(uint64(fid))
		}
		if len(l.tags) > 0 {
			size += 1 + lengthSize(len(l.tags)) + len(l.tags)
		}
		l.body = binary.AppendUvarint(append(l.body, keyFeature), uint64(size))
		if fid >= 0 {
			l.body = binary.AppendUvarint(append(l.body, keyID), uint64(fid))
		}
		if len(l.tags) > 0 {
			l.body = binary.AppendUvarint(append(l.body, keyTags), uint64(len(l.tags)))
			l.body = append(l.body, l.tags...)
		}
		l.body = append(l.body, keyType, byte(kind+1))
		l.body = binary.AppendUvarint(append(l.body, keyGeometry), uint64(len(geometry)))
		l.body = append(l.body, geometry...)
	}
	l.tags = l.tags[:0]
	l.marks = append(l.marks, mark{len(l.body), len(l.values)})
}

// size is about what encode would give for all rows.
func (l *layer) size() int { return len(l.body) + len(l.values) }

// encode appends the first n rows as the layer field of a tile; nothing for none.
func (l *layer) encode(dst []byte, n int) []byte {
	if n == 0 {
		return dst
	}
	m := l.marks[n-1]
	size := 1 + lengthSize(len(l.name)) + len(l.name) + m.body + m.values + 1 + uvarintSize(Extent) + 2
	for _, k := range l.keys {
		size += 1 + lengthSize(len(k)) + len(k)
	}
	dst = binary.AppendUvarint(append(dst, keyLayer), uint64(size))
	dst = append(dst, keyVersion, 2)
	dst = binary.AppendUvarint(append(dst, keyName), uint64(len(l.name)))
	dst = append(dst, l.name...)
	dst = append(dst, l.body[:m.body]...)
	for _, k := range l.keys {
		dst = binary.AppendUvarint(append(dst, keyKey), uint64(len(k)))
		dst = append(dst, k...)
	}
	dst = append(dst, l.values[:m.values]...)
	return binary.AppendUvarint(append(dst, keyExtent), Extent)
}

func lengthSize(n int) int { return uvarintSize(uint64(n)) }

func uvarintSize(v uint64) int {
	n := 1
	for ; v >= 0x80; v >>= 7 {
		n++
	}
	return n
}

// maxTagBytes bounds a text in a tile: a map writes a name, and who wants more
// asks for the feature.
const maxTagBytes = 1024

// shorten cuts a text at the border of a character.
func shorten(v []byte) []byte {
	if len(v) <= maxTagBytes {
		return v
	}
	n := maxTagBytes
	for n > 0 && !utf8.RuneStart(v[n]) {
		n--
	}
	return v[:n]
}
