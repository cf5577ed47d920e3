package shapefile

import (
	"math"
	"strconv"

	"changde/ingest/layer"
)

// numberFault says why a number cannot be read.
type numberFault int

const (
	noNumber numberFault = iota
	tooBig
)

// maxExponent bounds what an exponent can blow up to when a number is written
// out; it lies beyond the range of a float64.
const maxExponent = 400

var pow10 = [...]float64{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}

// literal is a number as written: digits with the point and the exponent apart.
type literal struct {
	neg      bool
	digits   []byte // of the whole and the fraction, together only if there is no point
	fraction []byte
	exp      int
}

// number reads the text of a numeric field, without padding, as a value of the
// type: int64, float64 or an exact decimal string. It returns nil and the reason
// when it cannot.
func number(typ layer.Type, b []byte) (any, numberFault) {
	if len(b) <= 15 {
		if v, ok := short(typ, b); ok {
			return v, 0
		}
	}
	n, ok := scan(b)
	if !ok {
		return nil, noNumber
	}
	if n.exp > maxExponent || n.exp < -maxExponent {
		return nil, tooBig
	}
	switch typ {
	case layer.Integer:
		return n.integer()
	case layer.Real:
		// scan has admitted decimal digits only, so that "inf", "0x1p4" and "1_0"
		// do not pass; Fortran's D is an E.
		text := append([]byte(nil), b...)
		for i, c := range text {
			if c == 'd' || c == 'D' {
				text[i] = 'e'
			}
		}
		v, err := strconv.ParseFloat(string(text), 64)
		if err != nil || math.IsInf(v, 0) {
			return nil, tooBig
		}
		return v, 0
	}
	return n.decimal(), 0
}

// short reads a number of at most 15 characters without an exponent. Its digits
// are an integer below 2^53 and the power of ten is exact, so that one division
// gives the nearest float64.
func short(typ layer.Type, b []byte) (any, bool) {
	if typ == layer.Decimal {
		return nil, false
	}
	i, neg := 0, false
	if b[0] == '-' || b[0] == '+' {
		neg, i = b[0] == '-', 1
	}
	m, point, seen := int64(0), -1, 0
	for ; i < len(b); i++ {
		c := b[i]
		if c >= '0' && c <= '9' {
			m = m*10 + int64(c-'0')
			seen++
			continue
		}
		if c != '.' || point >= 0 {
			return nil, false
		}
		point = seen
	}
	if seen == 0 {
		return nil, false
	}
	if typ == layer.Integer {
		if point >= 0 {
			return nil, false
		}
		if neg {
			m = -m
		}
		return m, true
	}
	v := float64(m)
	if point >= 0 {
		v /= pow10[seen-point]
	}
	if neg && m != 0 {
		v = -v
	}
	return v, true
}

// scan takes a number apart: [+-] digits [. digits] [E [+-] digits].
func scan(b []byte) (literal, bool) {
	var n literal
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		n.neg, b = b[0] == '-', b[1:]
	}
	n.digits, b = run(b)
	if len(b) > 0 && b[0] == '.' {
		n.fraction, b = run(b[1:])
	}
	if len(n.digits)+len(n.fraction) == 0 {
		return n, false
	}
	if len(b) == 0 {
		return n, true
	}
	if b[0] != 'e' && b[0] != 'E' && b[0] != 'd' && b[0] != 'D' {
		return n, false
	}
	b = b[1:]
	down := false
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		down, b = b[0] == '-', b[1:]
	}
	exp, b := run(b)
	if len(exp) == 0 || len(b) > 0 {
		return n, false
	}
	for _, c := range exp {
		if n.exp = n.exp*10 + int(c-'0'); n.exp > 10*maxExponent {
			break
		}
	}
	if down {
		n.exp = -n.exp
	}
	return n, true
}

// run splits off the leading decimal digits.
func run(b []byte) (digits, rest []byte) {
	i := 0
	for i < len(b) && b[i] >= '0' && b[i] <= '9' {
		i++
	}
	return b[:i], b[i:]
}

// decimal writes the number out, with every digit it was given.
func (n literal) decimal() string {
	all := append(append(make([]byte, 0, len(n.digits)+len(n.fraction)+8), n.digits...), n.fraction...)
	point := len(n.digits) + n.exp
	zero := true
	for _, c := range all {
		zero = zero && c == '0'
	}
	if zero {
		// Zero has no magnitude: keep the declared fraction, drop the exponent.
		point = len(n.digits)
	}
	for ; point < 0; point++ {
		all = append([]byte{'0'}, all...)
	}
	for point > len(all) {
		all = append(all, '0')
	}
	whole, fraction := all[:point], all[point:]
	for len(whole) > 0 && whole[0] == '0' {
		whole = whole[1:]
	}
	out := make([]byte, 0, len(all)+3)
	if n.neg && !zero {
		out = append(out, '-')
	}
	if len(whole) == 0 {
		out = append(out, '0')
	}
	out = append(out, whole...)
	if len(fraction) > 0 {
		out = append(out, '.')
		out = append(out, fraction...)
	}
	return string(out)
}

// integer returns the number if it is whole: "12.000" and "1.2E+3" are.
func (n literal) integer() (any, numberFault) {
	text := n.decimal()
	for i := range len(text) {
		if text[i] != '.' {
			continue
		}
		for _, c := range text[i+1:] {
			if c != '0' {
				return nil, noNumber
			}
		}
		text = text[:i]
		break
	}
	v, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return nil, tooBig
	}
	return v, 0
}

// currency writes a FoxPro currency, a count of ten-thousandths, as a decimal.
func currency(v int64) string {
	sign, u := "", uint64(v)
	if v < 0 {
		sign, u = "-", -u
	}
	frac := strconv.FormatUint(10000+u%10000, 10)[1:]
	return sign + strconv.FormatUint(u/10000, 10) + "." + frac
}
