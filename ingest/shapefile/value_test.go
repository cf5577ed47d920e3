package shapefile

import (
	"encoding/binary"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"changde/ingest/layer"
)

func TestValues(t *testing.T) {
	t.Parallel()
	le64 := func(v uint64) string { return string(binary.LittleEndian.AppendUint64(nil, v)) }
	le32 := func(a, b uint32) string {
		return string(binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, a), b))
	}
	day := func(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, time.UTC) }
	tests := []struct {
		c     col
		cell  string
		typ   layer.Type
		want  any
		fault string
	}{
		{col{"A", 'C', 10, 0}, "abc", layer.Text, "abc", ""},
		{col{"A", 'C', 10, 0}, "  abc", layer.Text, "  abc", ""},
		{col{"A", 'C', 10, 0}, "", layer.Text, nil, ""},
		{col{"A", 'C', 10, 0}, "\x00\x00\x00", layer.Text, nil, ""},
		{col{"A", 'C', 10, 0}, "abc\x00\x00", layer.Text, "abc", ""},
		{col{"A", 'C', 10, 0}, "abc\x00rest", layer.Text, "abc", "A:text-after-nul"},
		{col{"A", 'C', 10, 0}, "汉字汉\xe6", layer.Text, "汉字汉", "A:text-cut"},
		{col{"A", 'C', 10, 0}, "a\xffb", layer.Text, "a\uFFFDb", "A:text-undecodable"},
		{col{"A", 'C', 10, 0}, "a\x01b", layer.Text, "ab", ""},

		{col{"A", 'N', 10, 0}, "       123", layer.Integer, int64(123), ""},
		{col{"A", 'N', 10, 0}, "-5", layer.Integer, int64(-5), ""},
		{col{"A", 'N', 10, 0}, "+5", layer.Integer, int64(5), ""},
		{col{"A", 'N', 10, 0}, "", layer.Integer, nil, ""},
		{col{"A", 'N', 10, 0}, "**********", layer.Integer, nil, "A:number-unreadable"},
		{col{"A", 'N', 10, 0}, "abc", layer.Integer, nil, "A:number-unreadable"},
		{col{"A", 'N', 10, 0}, "-", layer.Integer, nil, "A:number-unreadable"},
		{col{"A", 'N', 10, 0}, "12.00", layer.Integer, int64(12), ""},
		{col{"A", 'N', 10, 0}, "12.50", layer.Integer, nil, "A:number-unreadable"},
		{col{"A", 'N', 10, 0}, "1.2E+3", layer.Integer, int64(1200), ""},
		{col{"A", 'N', 10, 0}, "1E30", layer.Integer, nil, "A:number-overflow"},
		{col{"A", 'N', 10, 0}, "1E99999999", layer.Integer, nil, "A:number-overflow"},
		{col{"A", 'N', 18, 0}, "999999999999999999", layer.Integer, int64(999999999999999999), ""},
		{col{"A", 'N', 19, 0}, "9999999999999999999", layer.Decimal, "9999999999999999999", ""},
		{col{"A", 'N', 15, 2}, "-12.50", layer.Real, -12.5, ""},
		{col{"A", 'N', 15, 2}, "0.1", layer.Real, 0.1, ""},
		{col{"A", 'N', 15, 14}, ".12345678901234", layer.Real, .12345678901234, ""},
		{col{"A", 'N', 15, 2}, "1e400", layer.Real, nil, "A:number-overflow"},
		{col{"A", 'N', 15, 2}, "1e999", layer.Real, nil, "A:number-overflow"},
		{col{"A", 'N', 15, 2}, "1.5D+02", layer.Real, 150.0, ""},
		{col{"A", 'N', 15, 2}, "inf", layer.Real, nil, "A:number-unreadable"},
		{col{"A", 'N', 15, 2}, "0x1p4", layer.Real, nil, "A:number-unreadable"},
		{col{"A", 'N', 15, 2}, "1_000.5", layer.Real, nil, "A:number-unreadable"},
		{col{"A", 'N', 15, 2}, "1,5", layer.Real, nil, "A:number-unreadable"},
		{col{"A", 'N', 15, 2}, "1.2.3", layer.Real, nil, "A:number-unreadable"},
		{col{"A", 'N', 20, 4}, "0012345678901234.5600", layer.Decimal, "12345678901234.560", ""},
		{col{"A", 'N', 20, 4}, "-.50", layer.Decimal, "-0.50", ""},
		{col{"A", 'N', 20, 4}, "-0.00", layer.Decimal, "0.00", ""},
		{col{"A", 'F', 19, 11}, "1.23400000000e+003", layer.Decimal, "1234.00000000", ""},
		{col{"A", 'F', 19, 11}, "1.5e-005", layer.Decimal, "0.000015", ""},
		{col{"A", 'F', 19, 11}, "0.0e+300", layer.Decimal, "0.0", ""},
		{col{"A", 'F', 13, 11}, "2.5e+002", layer.Real, 250.0, ""},

		{col{"A", 'L', 1, 0}, "T", layer.Boolean, true, ""},
		{col{"A", 'L', 1, 0}, "y", layer.Boolean, true, ""},
		{col{"A", 'L', 1, 0}, "F", layer.Boolean, false, ""},
		{col{"A", 'L', 1, 0}, "?", layer.Boolean, nil, ""},
		{col{"A", 'L', 1, 0}, " ", layer.Boolean, nil, ""},
		{col{"A", 'L', 1, 0}, "x", layer.Boolean, nil, "A:logical-unreadable"},

		{col{"A", 'D', 8, 0}, "20120905", layer.Date, day(2012, 9, 5), ""},
		{col{"A", 'D', 8, 0}, "20120229", layer.Date, day(2012, 2, 29), ""},
		{col{"A", 'D', 10, 0}, "2012/09/05", layer.Date, day(2012, 9, 5), ""},
		{col{"A", 'D', 8, 0}, "", layer.Date, nil, ""},
		{col{"A", 'D', 8, 0}, "00000000", layer.Date, nil, ""},
		{col{"A", 'D', 8, 0}, "20130229", layer.Date, nil, "A:date-unreadable"},
		{col{"A", 'D', 8, 0}, "2012095", layer.Date, nil, "A:date-unreadable"},
		{col{"A", 'D', 8, 0}, "********", layer.Date, nil, "A:date-unreadable"},

		{col{"A", 'I', 4, 0}, "\xff\xff\xff\xff", layer.Integer, int64(-1), ""},
		{col{"A", 'B', 8, 0}, le64(math.Float64bits(3.25)), layer.Real, 3.25, ""},
		{col{"A", 'O', 8, 0}, le64(math.Float64bits(-1e300)), layer.Real, -1e300, ""},
		{col{"A", 'B', 8, 0}, le64(math.Float64bits(nan)), layer.Real, nil, "A:number-unreadable"},
		{col{"A", 'Y', 8, 0}, le64(123456), layer.Decimal, "12.3456", ""},
		{col{"A", 'Y', 8, 0}, le64(1 << 63), layer.Decimal, "-922337203685477.5808", ""},
		{col{"A", 'T', 8, 0}, le32(2456176, 37800000), layer.Timestamp, time.Date(2012, 9, 5, 10, 30, 0, 0, time.UTC), ""},
		{col{"A", '@', 8, 0}, le32(0, 0), layer.Timestamp, nil, ""},
		{col{"A", 'T', 8, 0}, le32(5, 5), layer.Timestamp, nil, "A:date-unreadable"},
		{col{"A", 'M', 10, 0}, "        12", layer.Text, nil, ""},
		{col{"A", 'B', 10, 0}, "        12", layer.Text, nil, ""},
		{col{"A", '#', 5, 0}, "ab", layer.Text, "ab", ""},
		{col{"A", 'c', 5, 0}, "ab", layer.Text, "ab", ""},
	}
	for _, tt := range tests {
		t.Run(string(tt.c.kind)+" "+tt.cell, func(t *testing.T) {
			t.Parallel()
			// Twice, so that a remembered value shows too.
			shp, shx := makeSHP(Point, pointRecord(1, 2), pointRecord(3, 4))
			all, r := mustRead(t, inMemory(shp, shx, makeDBF([]col{tt.c}, []string{tt.cell}, []string{tt.cell})), Options{})
			if got := r.Fields()[0]; got.Type != tt.typ {
				t.Errorf("type %v, want %v", got.Type, tt.typ)
			}
			for _, f := range all {
				if diff := cmp.Diff([]any{tt.want}, f.Values); diff != "" {
					t.Error(diff)
				}
				if got := strings.Join(codes(f.Faults), " "); got != tt.fault {
					t.Errorf("faults %q, want %q", got, tt.fault)
				}
			}
		})
	}
}

func TestFieldNames(t *testing.T) {
	t.Parallel()
	decode := func(b []byte) (string, int, int) {
		if n := len(b); n > 0 && b[n-1] >= 0x80 && n%2 == 1 {
			return strings.Repeat("汉", n/2), 1, 0
		}
		return string(b), 0, 0
	}
	cols := []col{{"\xba\xba\xba\xba\xba\xba\xba\xba\xba\xba\xba", 'C', 2, 0}, {"", 'C', 2, 0}, {"NAME", 'C', 2, 0}, {"NAME", 'C', 2, 0}, {"M", 'M', 10, 0}, {"ID  ", 'C', 2, 0}}
	shp, shx := makeSHP(Point)
	_, r := mustRead(t, inMemory(shp, shx, makeDBF(cols)), Options{Decode: decode})
	var names []string
	for _, f := range r.Fields() {
		names = append(names, f.Name)
	}
	if diff := cmp.Diff([]string{"汉汉汉汉汉", "field_2", "NAME", "NAME", "M", "ID"}, names); diff != "" {
		t.Error(diff)
	}
	want := []string{"汉汉汉汉汉:field-name-cut", "field_2:field-name-empty", "M:memo-not-read"}
	if diff := cmp.Diff(want, codes(r.Notes())); diff != "" {
		t.Error(diff)
	}
}

// TestWideText: the decimals byte of a text field is the high byte of its width
// when the record length says so, and a leftover otherwise.
func TestWideText(t *testing.T) {
	t.Parallel()
	shp, shx := makeSHP(Point, pointRecord(1, 2))
	long := strings.Repeat("x", 300)
	dbf := makeDBF([]col{{"A", 'C', 300, 1}, {"B", 'C', 3, 0}}, []string{long, "abc"})
	all, r := mustRead(t, inMemory(shp, shx, dbf), Options{})
	if diff := cmp.Diff([]any{long, "abc"}, all[0].Values); diff != "" || r.Fields()[0].Width != 300 {
		t.Error(diff, r.Fields())
	}
	dbf = makeDBF([]col{{"A", 'C', 5, 2}, {"B", 'C', 3, 0}}, []string{"hello", "abc"})
	all, _ = mustRead(t, inMemory(shp, shx, dbf), Options{})
	if diff := cmp.Diff([]any{"hello", "abc"}, all[0].Values); diff != "" {
		t.Error(diff)
	}
}

func TestDeletedRow(t *testing.T) {
	t.Parallel()
	shp, shx := makeSHP(Point, pointRecord(1, 2), pointRecord(3, 4))
	dbf := makeDBF(one, []string{"7"}, []string{"8"})
	dbf[33+32] = '*'
	all, _ := mustRead(t, inMemory(shp, shx, dbf), Options{})
	if len(all) != 2 || strings.Join(codes(all[0].Faults), "") != "row-deleted!" || len(all[0].Values) != 1 || all[0].Geom != nil {
		t.Errorf("%+v", all[0])
	}
	if all[1].Values[0] != int64(8) || all[1].Row != 2 || len(all[1].Faults) > 0 {
		t.Errorf("%+v", all[1])
	}
}

func FuzzNumber(f *testing.F) {
	for _, s := range []string{"12.50", "-1.5e+003", "***", ".", "1e400", "999999999999999999999", "0x1", "-0.00"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == 0 || len(b) > 255 {
			return
		}
		i, _ := number(layer.Integer, b)
		x, _ := number(layer.Real, b)
		d, _ := number(layer.Decimal, b)
		if v, ok := x.(float64); ok && (math.IsNaN(v) || math.IsInf(v, 0)) {
			t.Fatalf("%q is %v", b, v)
		}
		if s, ok := d.(string); ok {
			if again, _ := number(layer.Decimal, []byte(s)); again != d {
				t.Fatalf("%q became %q became %v", b, s, again)
			}
			// Real and Decimal are the same number.
			if v, ok := x.(float64); ok {
				if y, _ := number(layer.Real, []byte(s)); y != x {
					t.Fatalf("%q is %v, as decimal %q it is %v", b, v, s, y)
				}
			}
		}
		if i != nil && d == nil {
			t.Fatalf("%q is an integer and no decimal", b)
		}
	})
}
