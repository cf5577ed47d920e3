package api

import (
	"fmt"
	"math"
	"net/url"
	"sort"
	"strconv"
	"strings"
	"time"

	"changde/catalog"
	"changde/problem"
)

func names(known map[string]bool) string {
	out := make([]string, 0, len(known))
	for n := range known {
		out = append(out, n)
	}
	sort.Strings(out)
	return strings.Join(out, ", ")
}

func invalid(name, zh, en string) error {
	return problem.New(problem.Invalid, "parameter-invalid", name, zh, en)
}

// integer reads a whole number between low and high; fallback when it is absent.
func integer(q url.Values, name string, fallback, low, high int64) (int64, error) {
	if !q.Has(name) {
		return fallback, nil
	}
	n, err := strconv.ParseInt(q.Get(name), 10, 64)
	if err != nil || n < low || n > high {
		return 0, invalid(name, fmt.Sprintf("应为 %d 到 %d 之间的整数", low, high), fmt.Sprintf("must be a whole number from %d to %d", low, high))
	}
	return n, nil
}

// limit reads the page size. A value above max means max (OGC API - Features
// Part 1, /req/core/fc-limit-response-1).
func limit(q url.Values, fallback, max int) (int, error) {
	n, err := integer(q, "limit", int64(fallback), 1, math.MaxInt64)
	return int(min(n, int64(max))), err
}

// bbox reads four or six numbers in CRS84, heights ignored; west may be greater
// than east where the box spans the antimeridian (OGC API - Features Part 1,
// 7.15.3).
func bbox(q url.Values) (*catalog.Bounds, error) {
	if !q.Has("bbox") {
		return nil, nil
	}
	parts := strings.Split(q.Get("bbox"), ",")
	bad := func(zh, en string) (*catalog.Bounds, error) { return nil, invalid("bbox", zh, en) }
	if len(parts) != 4 && len(parts) != 6 {
		return bad(fmt.Sprintf("应为 4 个数（西,南,东,北，度）或 6 个数，收到 %d 个", len(parts)),
			fmt.Sprintf("must have 4 numbers (west,south,east,north in degrees) or 6, not %d", len(parts)))
	}
	v := make([]float64, len(parts))
	for i, p := range parts {
		f, err := strconv.ParseFloat(strings.TrimSpace(p), 64)
		if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return bad(fmt.Sprintf("第 %d 个值不是数", i+1), fmt.Sprintf("value %d is not a number", i+1))
		}
		v[i] = f
	}
	half := len(v) / 2
	b := catalog.Bounds{v[0], v[1], v[half], v[half+1]}
	switch {
	case math.Abs(b[0]) > 180 || math.Abs(b[2]) > 180 || math.Abs(b[1]) > 90 || math.Abs(b[3]) > 90:
		return bad("超出经纬度范围；顺序为 西,南,东,北（经度在前）", "is outside longitude and latitude; the order is west,south,east,north (longitude first)")
	case b[1] > b[3]:
		return bad("南纬度大于北纬度；顺序为 西,南,东,北", "south is above north; the order is west,south,east,north")
	}
	return &b, nil
}

// datetime reads an instant or an interval (RFC 3339, "..", or open by an empty
// end; OGC API - Features Part 1, 7.15.4). An instant is both ends.
func datetime(q url.Values) (from, to *time.Time, err error) {
	if !q.Has("datetime") {
		return nil, nil, nil
	}
	const zh = "应为 RFC 3339 时刻，或区间 起/止，开放端写 .. ，例如 2012-01-01T00:00:00Z/.."
	const en = "must be an RFC 3339 instant or an interval start/end with .. for an open end, such as 2012-01-01T00:00:00Z/.."
	parse := func(s string, endOfDay bool) (*time.Time, error) {
		if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
			return &t, nil
		}
		t, err := time.Parse(time.DateOnly, s)
		if err != nil {
			return nil, invalid("datetime", zh, en)
		}
		if endOfDay {
			t = t.Add(24*time.Hour - time.Microsecond)
		}
		return &t, nil
	}
	start, end, interval := strings.Cut(q.Get("datetime"), "/")
	if !interval {
		end = start
		if start == "" || start == ".." {
			return nil, nil, invalid("datetime", zh, en)
		}
	}
	open := func(s string) bool { return s == "" || s == ".." }
	if interval && open(start) && open(end) {
		return nil, nil, invalid("datetime", zh, en)
	}
	if !open(start) {
		if from, err = parse(start, false); err != nil {
			return nil, nil, err
		}
	}
	if !open(end) {
		if to, err = parse(end, true); err != nil {
			return nil, nil, err
		}
	}
	if from != nil && to != nil && from.After(*to) {
		return nil, nil, invalid("datetime", "区间的起点晚于终点", "the interval begins after its end")
	}
	return from, to, nil
}

var errPageMark = invalid("next", "不是服务器给出的翻页标记；请使用上一页 next 链接中的值", "is not a mark this server gave; use the value in the next link of the page before")

// pageMark is the place after which the next page begins. It names the release and
// its revision, so that all pages of one walk are of one state, whatever is
// published or edited meanwhile.
type pageMark struct {
	release  int
	revision int64
	after    int64
}

func (p pageMark) String() string { return fmt.Sprintf("%d-%d-%d", p.release, p.revision, p.after) }

func next(q url.Values) (*pageMark, error) {
	if !q.Has("next") {
		return nil, nil
	}
	parts := strings.Split(q.Get("next"), "-")
	if len(parts) != 3 {
		return nil, errPageMark
	}
	var p pageMark
	var err error
	if p.release, err = strconv.Atoi(parts[0]); err != nil || p.release < 1 {
		return nil, errPageMark
	}
	for n, to := range []*int64{&p.revision, &p.after} {
		if *to, err = strconv.ParseInt(parts[n+1], 10, 64); err != nil || *to < 0 {
			return nil, errPageMark
		}
	}
	return &p, nil
}
