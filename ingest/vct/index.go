package vct

import (
	"bufio"
	"cmp"
	"container/heap"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"slices"

	"changde/problem"
)

// The index of objects lies on disk when it is large, so that memory does not grow
// with the file.
const (
	runEntries  = 1 << 18 // entries that are sorted in memory, 4 MiB
	pageEntries = 256     // entries that a lookup reads at once, 4 KiB
	entrySize   = 16
	maxObjects  = 100_000_000 // of one section; 1.6 GB of temporary disk, twice that while sorting
	noLayer     = 1<<16 - 1
	maxTwins    = 1000 // objects of one identifier that a lookup passes
)

// entry says where the object of an identifier is and which layer it belongs to.
type entry struct {
	id    int64
	place uint64 // offset << 16 | layer
}

func (e entry) offset() int64 { return int64(e.place >> 16) }
func (e entry) layer() int    { return int(e.place & noLayer) }

func compareEntries(a, b entry) int {
	if c := cmp.Compare(a.id, b.id); c != 0 {
		return c
	}
	return cmp.Compare(a.place, b.place)
}

// index finds objects by identifier. It may be used by several cursors at once.
type index struct {
	n     int
	mem   []entry  // all entries, when they are few
	file  *os.File // else all entries, sorted
	first []int64  // the identifier at the head of each page of the file
}

func (x *index) close() {
	if x.file != nil {
		x.file.Close()
	}
}

// builder collects the entries of an index.
type builder struct {
	dir    string
	where  string
	buf    []entry
	n      int
	file   *os.File
	runs   []int // end of each run, in entries
	last   entry // greatest so far
	sorted bool  // runs follow one another in order
}

// temporary makes a file that vanishes when it is closed.
func temporary(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "vct-*.index")
	if err != nil {
		return nil, fmt.Errorf("make the index of objects: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, fmt.Errorf("make the index of objects: %w", err)
	}
	return f, nil
}

func (b *builder) add(id, offset int64, layer int) error {
	if b.n == maxObjects {
		return problem.New(problem.TooLarge, "vct-objects", b.where,
			fmt.Sprintf("一类图形对象超过 %d 个，请分幅或分行政区导出", maxObjects), fmt.Sprintf("more than %d objects of one kind; export the data in several parts", maxObjects))
	}
	b.n++
	b.buf = append(b.buf, entry{id, uint64(offset)<<16 | uint64(layer)})
	if len(b.buf) == runEntries {
		return b.flush()
	}
	return nil
}

func (b *builder) flush() error {
	slices.SortFunc(b.buf, compareEntries)
	if b.file == nil {
		f, err := temporary(b.dir)
		if err != nil {
			return err
		}
		b.file, b.sorted = f, true
	}
	b.sorted = b.sorted && (len(b.runs) == 0 || compareEntries(b.last, b.buf[0]) <= 0)
	b.last = b.buf[len(b.buf)-1]
	w := bufio.NewWriterSize(b.file, 64<<10)
	for _, e := range b.buf {
		if err := writeEntry(w, e); err != nil {
			return err
		}
	}
	b.runs = append(b.runs, b.n)
	b.buf = b.buf[:0]
	return w.Flush()
}

func writeEntry(w *bufio.Writer, e entry) error {
	var raw [entrySize]byte
	binary.LittleEndian.PutUint64(raw[:], uint64(e.id))
	binary.LittleEndian.PutUint64(raw[8:], e.place)
	_, err := w.Write(raw[:])
	return err
}

func readEntry(raw []byte) entry {
	return entry{int64(binary.LittleEndian.Uint64(raw)), binary.LittleEndian.Uint64(raw[8:])}
}

// finish sorts what was collected; the builder is then empty.
func (b *builder) finish() (*index, error) {
	if b.file == nil {
		slices.SortFunc(b.buf, compareEntries)
		x := &index{n: b.n, mem: slices.Clip(b.buf)}
		*b = builder{}
		return x, nil
	}
	if len(b.buf) > 0 {
		if err := b.flush(); err != nil {
			return nil, err
		}
	}
	x := &index{n: b.n, file: b.file}
	if !b.sorted {
		merged, err := b.merge()
		if err != nil {
			return nil, err
		}
		b.file.Close()
		x.file = merged
	}
	*b = builder{}
	r := bufio.NewReaderSize(io.NewSectionReader(x.file, 0, int64(x.n)*entrySize), 64<<10)
	var raw [entrySize]byte
	for i := range x.n {
		if _, err := io.ReadFull(r, raw[:]); err != nil {
			x.close()
			return nil, fmt.Errorf("read the index of objects: %w", err)
		}
		if i%pageEntries == 0 {
			x.first = append(x.first, readEntry(raw[:]).id)
		}
	}
	return x, nil
}

func (b *builder) abandon() {
	if b.file != nil {
		b.file.Close()
	}
}

// run is a sorted part of the file while parts are merged.
type run struct {
	r    *bufio.Reader
	head entry
}

type runHeap []*run

func (h runHeap) Len() int           { return len(h) }
func (h runHeap) Less(i, j int) bool { return compareEntries(h[i].head, h[j].head) < 0 }
func (h runHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *runHeap) Push(x any)        { *h = append(*h, x.(*run)) }
func (h *runHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

func (r *run) next() (bool, error) {
	var raw [entrySize]byte
	if _, err := io.ReadFull(r.r, raw[:]); err == io.EOF {
		return false, nil
	} else if err != nil {
		return false, fmt.Errorf("read the index of objects: %w", err)
	}
	r.head = readEntry(raw[:])
	return true, nil
}

func (b *builder) merge() (*os.File, error) {
	out, err := temporary(b.dir)
	if err != nil {
		return nil, err
	}
	if err := b.mergeInto(out); err != nil {
		out.Close()
		return nil, err
	}
	return out, nil
}

func (b *builder) mergeInto(out *os.File) error {
	var h runHeap
	start := 0
	for _, end := range b.runs {
		section := io.NewSectionReader(b.file, int64(start)*entrySize, int64(end-start)*entrySize)
		r := &run{r: bufio.NewReaderSize(section, 32<<10)}
		if _, err := r.next(); err != nil {
			return err
		}
		h = append(h, r)
		start = end
	}
	heap.Init(&h)
	w := bufio.NewWriterSize(out, 256<<10)
	for len(h) > 0 {
		if err := writeEntry(w, h[0].head); err != nil {
			return fmt.Errorf("write the index of objects: %w", err)
		}
		more, err := h[0].next()
		if err != nil {
			return err
		}
		if more {
			heap.Fix(&h, 0)
		} else {
			heap.Pop(&h)
		}
	}
	return w.Flush()
}

// cursor looks things up in an index and keeps some pages it has read, since objects
// that are used together mostly lie together.
type cursor struct {
	x     *index
	pages [cachedPages]page
	raw   []byte
}

const cachedPages = 16

// page is a part of the index; number counts from 1, 0 is none.
type page struct {
	number  int
	entries []entry
}

// page returns the i-th page of an index on disk.
func (c *cursor) page(i int) ([]entry, error) {
	p := &c.pages[i%cachedPages]
	if p.number == i+1 {
		return p.entries, nil
	}
	p.number = 0
	n := min(pageEntries, c.x.n-i*pageEntries)
	if c.raw == nil {
		c.raw = make([]byte, pageEntries*entrySize)
	}
	if _, err := c.x.file.ReadAt(c.raw[:n*entrySize], int64(i)*pageEntries*entrySize); err != nil {
		return nil, fmt.Errorf("read the index of objects: %w", err)
	}
	p.entries = p.entries[:0]
	for k := range n {
		p.entries = append(p.entries, readEntry(c.raw[k*entrySize:]))
	}
	p.number = i + 1
	return p.entries, nil
}

// at returns the i-th entry.
func (c *cursor) at(i int) (entry, error) {
	if c.x.mem != nil {
		return c.x.mem[i], nil
	}
	entries, err := c.page(i / pageEntries)
	if err != nil {
		return entry{}, err
	}
	return entries[i%pageEntries], nil
}

func searchEntries(entries []entry, id int64) int {
	i, _ := slices.BinarySearchFunc(entries, id, func(e entry, id int64) int { return cmp.Compare(e.id, id) })
	return i
}

// find returns the position of the first entry of an identifier, or where it would be.
func (c *cursor) find(id int64) (int, error) {
	if c.x.mem != nil {
		return searchEntries(c.x.mem, id), nil
	}
	// The first page whose head is not below the identifier; what is sought may begin
	// on the page before.
	p, _ := slices.BinarySearch(c.x.first, id)
	p = max(p-1, 0)
	entries, err := c.page(p)
	if err != nil {
		return 0, err
	}
	return p*pageEntries + searchEntries(entries, id), nil
}

// lookup finds the object of an identifier, preferably one of the layer that has not
// been used; layer noLayer takes any. position is -1 when there is none.
func (c *cursor) lookup(id int64, layer int, used bitmap) (e entry, position int, err error) {
	if c.x == nil || c.x.n == 0 {
		return entry{}, -1, nil
	}
	position = -1
	i, err := c.find(id)
	for last := i + maxTwins; err == nil && i < min(last, c.x.n); i++ {
		var found entry
		if found, err = c.at(i); err != nil || found.id != id {
			break
		}
		if layer != noLayer && found.layer() != layer {
			continue
		}
		if position < 0 {
			e, position = found, i
		}
		if used == nil || !used.has(i) {
			return found, i, nil
		}
	}
	return e, position, err
}

// bitmap is a set of positions.
type bitmap []uint64

func newBitmap(n int) bitmap    { return make(bitmap, (n+63)/64) }
func (b bitmap) has(i int) bool { return b[i/64]>>(i%64)&1 == 1 }
func (b bitmap) set(i int)      { b[i/64] |= 1 << (i % 64) }
