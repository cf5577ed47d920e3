package geojson

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"changde/ingest/layer"
)

// Reader streams the rows of a file; it is a layer.Reader.
type Reader struct {
	f     *os.File
	d     *document
	info  *Info
	names map[string]int // property -> field
	p     parsed
	seen  []int64 // row in which a field was last set
	mDone bool    // the loss of M was reported
	err   error
}

var _ layer.Reader = (*Reader)(nil)

// Open begins to read a file that Inspect has described; values have the types of
// info.Fields. info is not changed and may serve several readers.
func Open(path string, info *Info) (*Reader, error) {
	where := filepath.Base(path)
	if info == nil {
		return nil, errors.New("geojson: Open needs the Info of Inspect")
	}
	f, err := openFile(path, where)
	if err != nil {
		return nil, err
	}
	d, err := openEncoded(context.Background(), f, info.encoding, where)
	if err != nil && err != io.EOF {
		f.Close()
		return nil, err
	}
	r := &Reader{f: f, d: d, info: info, names: make(map[string]int, len(info.Fields)), seen: make([]int64, len(info.Fields))}
	for i, field := range info.Fields {
		if i > 0 || !info.id {
			r.names[field.Name] = i
		}
	}
	return r, nil
}

// Fields returns the fields of the Info.
func (r *Reader) Fields() []layer.Field { return r.info.Fields }

// Close closes the file.
func (r *Reader) Close() error { return r.f.Close() }

// Next returns the next row as layer.Reader describes.
func (r *Reader) Next() (*layer.Feature, error) {
	if r.err != nil {
		return nil, r.err
	}
	rec, err := r.d.next()
	if err != nil {
		r.err = err
		return nil, err
	}
	f := &layer.Feature{Row: rec.row, Values: make([]any, len(r.info.Fields))}
	if rec.lost != nil {
		f.Faults = append(f.Faults, *rec.lost)
		return f, nil
	}
	if err := r.p.parse(rec.b, r.d.form != collection); err != nil {
		at := rec.offset + int64(err.at)
		f.Faults = append(f.Faults, layer.Fault{
			Row: rec.row, Code: err.code, Lost: true,
			ZH: fmt.Sprintf("%s（第 %d 字节）", err.zh, at),
			EN: fmt.Sprintf("%s (byte %d)", err.en, at),
		})
		return f, nil
	}
	f.Geom = r.p.geom
	marks := r.p.notes
	if r.mDone {
		marks &^= noteM
	}
	r.mDone = r.mDone || marks&noteM != 0
	f.Faults = faults(rec.row, marks, f.Faults)
	r.values(f)
	return f, nil
}

// values fills in the values of a row.
func (r *Reader) values(f *layer.Feature) {
	first := 0
	if r.info.id {
		first = 1
		if r.p.hasID {
			f.Values[0], f.Faults = convert(r.p.id, r.info.Fields[0], f.Row, f.Faults)
		}
	}
	for i := range r.p.props {
		prop := r.p.props[i]
		k := i + first
		if k >= len(r.info.Fields) || r.info.Fields[k].Name != string(prop.key) || escaped(prop.key) {
			var ok bool
			if k, ok = r.field(prop.key, f); !ok {
				continue
			}
		}
		field := r.info.Fields[k]
		if r.seen[k] == f.Row {
			f.Faults = append(f.Faults, layer.Fault{
				Row: f.Row, Field: field.Name, Code: "duplicate-property",
				ZH: "属性重复出现，取最后一个值", EN: "the property appears twice; the last value counts",
			})
		}
		r.seen[k] = f.Row
		f.Values[k], f.Faults = convert(prop, field, f.Row, f.Faults)
	}
}

// field finds the field of a property that is not where it was expected.
func (r *Reader) field(key []byte, f *layer.Feature) (int, bool) {
	k, ok := r.names[string(key)]
	if ok && !escaped(key) {
		return k, true
	}
	name, repairs := text(key)
	if repairs != 0 {
		f.Faults = textFaults(f.Row, name, repairs, f.Faults)
	}
	if k, ok = r.names[name]; ok {
		return k, true
	}
	if name == "" {
		f.Faults = append(f.Faults, layer.Fault{
			Row: f.Row, Code: "property-name-empty",
			ZH: "属性名为空，其值被略去", EN: "a property has an empty name; its value was left out",
		})
		return 0, false
	}
	f.Faults = append(f.Faults, layer.Fault{
		Row: f.Row, Field: name, Code: "property-unknown",
		ZH: "检查文件之后新出现的属性，其值被略去", EN: "the property was not there when the file was inspected; its value was left out",
	})
	return 0, false
}
