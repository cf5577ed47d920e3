package api

import (
	"strconv"
	"strings"

	"changde/problem"
	"changde/tiles"
)

var errCoding = problem.New(problem.Unsupported, "coding-not-acceptable", "Accept-Encoding",
	"瓦片只有 gzip、zstd 和不压缩（identity）三种编码，请求都不接受；请在 Accept-Encoding 中允许其一",
	"a tile comes in gzip, zstd or identity, none of which the request accepts; allow one of them in Accept-Encoding")

// unlisted is the weight of a coding that the header does not name.
const unlisted = -1

// codingFor chooses the coding of a tile by the values of Accept-Encoding (RFC 9110,
// 12.5.3): the one of the greatest weight, of equals gzip before zstd before identity.
// Without the header a tile is sent as it is. It is errCoding where the header refuses
// all three, which takes identity;q=0 or *;q=0.
func codingFor(header []string) (tiles.Coding, error) {
	if len(header) == 0 {
		return tiles.Identity, nil
	}
	gzip, zstd, identity, other := float64(unlisted), float64(unlisted), float64(unlisted), float64(unlisted)
	for _, list := range header {
		for list != "" {
			var item string
			item, list, _ = strings.Cut(list, ",")
			name, q, ok := weighted(item)
			if !ok {
				continue
			}
			switch {
			case strings.EqualFold(name, "gzip"), strings.EqualFold(name, "x-gzip"):
				gzip = q
			case strings.EqualFold(name, "zstd"):
				zstd = q
			case strings.EqualFold(name, "identity"):
				identity = q
			case name == "*":
				other = q
			}
		}
	}
	for _, q := range []*float64{&gzip, &zstd} {
		if *q == unlisted {
			*q = max(other, 0)
		}
	}
	switch {
	case identity == unlisted && other == 0:
		identity = 0
	case identity == unlisted:
		identity = leastWeight // acceptable, and less so than anything that is named
	}
	switch most := max(gzip, zstd, identity); {
	case most <= 0:
		return "", errCoding
	case gzip == most:
		return tiles.GZIP, nil
	case zstd == most:
		return tiles.ZSTD, nil
	}
	return tiles.Identity, nil
}

// leastWeight is below any weight a header can give.
const leastWeight = 0.0001

// weighted reads an element of Accept-Encoding. It is not ok for one that has no name
// or a weight that is none.
func weighted(item string) (name string, q float64, ok bool) {
	name, parameters, _ := strings.Cut(item, ";")
	name = strings.TrimSpace(name)
	if name == "" {
		return "", 0, false
	}
	if parameters = strings.TrimSpace(parameters); parameters == "" {
		return name, 1, true
	}
	weight, value, found := strings.Cut(parameters, "=")
	if !found || !strings.EqualFold(strings.TrimSpace(weight), "q") {
		return "", 0, false
	}
	q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
	return name, q, err == nil && q >= 0 && q <= 1
}
