package projects

import (
	"fmt"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"time"

	"changde/problem"
)

// Amount is a sum of money in yuan: an exact decimal number with two decimals,
// not negative, below 10^16, such as "79090000.00". Make one with ParseAmount.
type Amount string

var amountForm = regexp.MustCompile(`^(0|[1-9][0-9]{0,15})(?:\.([0-9]{1,2}))?$`)

// ParseAmount reads a decimal number with at most two decimals; anything else,
// an exponent or a sign too, is problem.Invalid.
func ParseAmount(s string) (Amount, error) {
	m := amountForm.FindStringSubmatch(s)
	if m == nil {
		return "", problem.New(problem.Invalid, "amount-form", "",
			"金额应为不小于 0 的十进制数，单位元，最多两位小数，例如 \"1326900.00\"",
			`an amount is a decimal number of yuan, not negative, with at most two decimals, for example "1326900.00"`)
	}
	return Amount(m[1] + "." + (m[2] + "00")[:2]), nil
}

// UnmarshalJSON takes a string or a number as it is written, never by way of
// floating point.
func (a *Amount) UnmarshalJSON(b []byte) error {
	s := string(b)
	if len(s) >= 2 && s[0] == '"' {
		s = s[1 : len(s)-1] // an escape is no digit and is refused
	}
	v, err := ParseAmount(s)
	if err != nil {
		return err
	}
	*a = v
	return nil
}

// fen is the amount in hundredths of a yuan. It fits: 10^18 is below 2^63.
func (a Amount) fen() int64 {
	n, err := strconv.ParseInt(strings.Replace(string(a), ".", "", 1), 10, 64)
	if err != nil {
		return -1
	}
	return n
}

// valid reports whether a is what ParseAmount makes.
func (a Amount) valid() bool {
	b, err := ParseAmount(string(a))
	return err == nil && a == b
}

// sum is a total of amounts as PostgreSQL writes it, without a bound.
func sum(s string) (*big.Rat, error) {
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		return nil, fmt.Errorf("%q is no decimal number", s)
	}
	return r, nil
}

// percent is part of whole in per cent with two decimals, rounded half away from
// zero; nil when there is no whole.
func percent(part, whole *big.Rat) *string {
	if whole.Sign() == 0 {
		return nil
	}
	r := new(big.Rat).Quo(part, whole)
	s := r.Mul(r, big.NewRat(100, 1)).FloatString(2)
	return &s
}

// tenThousands writes yuan in units of 10,000 (万元), with at most two decimals.
func tenThousands(yuan *big.Rat) string {
	return trimZeros(new(big.Rat).Quo(yuan, big.NewRat(10_000, 1)).FloatString(2))
}

func trimZeros(s string) string {
	if !strings.Contains(s, ".") {
		return s
	}
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

// Date is a calendar day as ISO 8601 writes it, "2012-06-30", between 1990 and
// 2100. Make one with ParseDate.
type Date string

// ParseDate reads YYYY-MM-DD; anything else is problem.Invalid.
func ParseDate(s string) (Date, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil || t.Year() < 1990 || t.Year() > 2100 {
		return "", problem.New(problem.Invalid, "date-form", "",
			"日期应写作 2012-06-30，年份在 1990 到 2100 之间", "write a date as 2012-06-30, with a year between 1990 and 2100")
	}
	return Date(s), nil
}

// UnmarshalJSON takes a string in the form of ParseDate.
func (d *Date) UnmarshalJSON(b []byte) error {
	s := string(b)
	if len(s) < 2 || s[0] != '"' {
		s = `""`
	}
	v, err := ParseDate(s[1 : len(s)-1])
	if err != nil {
		return err
	}
	*d = v
	return nil
}

func (d Date) valid() bool {
	_, err := ParseDate(string(d))
	return err == nil
}
