package tiles

import (
	"cmp"
	"encoding/binary"
	"slices"
	"strconv"
	"strings"

	"changde/catalog"
	types "changde/ingest/layer"
	"changde/postgis"
)

// ranking orders the rows of a dataset by their class, as its rules of tiles say.
type ranking struct {
	column   catalog.Column // the class
	exact    map[string]int32
	prefixes []prefix
	last     int32 // the rank of what the rules do not name
}

// prefix is a rank of all values that begin so.
type prefix struct {
	text string
	rank int32
}

// rankingOf is nil where nothing is ranked.
func rankingOf(d *catalog.Dataset, r *catalog.Release) *ranking {
	class, ok := r.Column(d.Class)
	if !ok || len(d.Tiles.Rank) == 0 || class.Type != types.Text && class.Type != types.Integer {
		return nil
	}
	k := &ranking{column: class, exact: make(map[string]int32), last: int32(len(d.Tiles.Rank))}
	for n, v := range d.Tiles.Rank {
		if text, ok := strings.CutSuffix(v, "*"); ok {
			k.prefixes = append(k.prefixes, prefix{text, int32(n)})
		} else if _, twice := k.exact[v]; !twice {
			k.exact[v] = int32(n)
		}
	}
	return k
}

// of is the rank of a value of the class as the database sends it, 0 the first.
func (k *ranking) of(raw []byte) int32 {
	if k == nil {
		return 0
	}
	if raw == nil {
		return k.last
	}
	if k.column.Type == types.Integer {
		raw = strconv.AppendInt(nil, int64(binary.BigEndian.Uint64(raw)), 10)
	}
	rank, ok := k.exact[string(raw)]
	if !ok {
		rank = k.last
	}
	for _, p := range k.prefixes {
		if p.rank > rank {
			break
		}
		if len(raw) >= len(p.text) && string(raw[:len(p.text)]) == p.text {
			return p.rank
		}
	}
	return rank
}

// sql is the rank of a row in the database.
func (k *ranking) sql(q *postgis.SQL) *postgis.SQL {
	ranks := make([]string, k.last)
	for v, n := range k.exact {
		ranks[n] = v
	}
	q.Raw("CASE")
	for n, p := 0, k.prefixes; n < len(ranks); n++ {
		q.Raw(" WHEN ")
		if len(p) > 0 && int(p[0].rank) == n {
			q.Raw("starts_with(").Ident(k.column.Name).Raw("::text, ").Arg(p[0].text).Raw("::text)")
			p = p[1:]
		} else {
			q.Ident(k.column.Name).Raw("::text = ").Arg(ranks[n]).Raw("::text")
		}
		q.Raw(" THEN ").Int(int64(n))
	}
	return q.Raw(" ELSE ").Int(int64(k.last)).Raw(" END")
}

// falls orders rows by how long they stay in a tile that has no room for all: those of
// the first rank, of these the largest, and of these as they came.
func falls(a, b *row) int { return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(b.size, a.size)) }

// ranked are rows by their rank, and of a rank as they came.
func ranked(rows []*row) []*row {
	byRank := func(a, b *row) int { return cmp.Compare(a.rank, b.rank) }
	if slices.IsSortedFunc(rows, byRank) {
		return rows
	}
	rows = slices.Clone(rows)
	slices.SortStableFunc(rows, byRank)
	return rows
}
