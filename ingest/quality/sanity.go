package quality

import (
	"cmp"
	"fmt"
	"math"

	"changde/ingest/finding"
	"changde/ingest/profile"
)

// Counts is the size of the content of a release.
type Counts struct {
	Rows int64
	Area float64 // square metres, 0 where rows have none
}

// Sanity is Q20: it tells when rows or area changed by more than the limits, as
// shares of what was before; 0 takes the default of the domain, 0.2 and 0.01. An
// empty severity is a warning. Nothing was before: nothing is told.
func Sanity(before, after Counts, limits profile.ChangeParams, severity finding.Severity) []finding.Finding {
	var out []finding.Finding
	tell := func(code, zh, en string) {
		out = append(out, finding.Finding{Rule: "Q20", Code: code, Severity: cmp.Or(severity, finding.Warn), Action: finding.Noted, ZH: zh, EN: en})
	}
	share := func(was, is float64) float64 { return (is - was) / was }
	limit := cmp.Or(limits.Count, 0.2)
	if was, is := before.Rows, after.Rows; was > 0 && math.Abs(share(float64(was), float64(is))) > limit {
		s := 100 * share(float64(was), float64(is))
		tell("count-changed", fmt.Sprintf("行数由 %d 变为 %d（%+.1f%%），超过 ±%g%%，需要确认", was, is, s, 100*limit),
			fmt.Sprintf("the rows changed from %d to %d (%+.1f%%), by more than %g%%: to be confirmed", was, is, s, 100*limit))
	}
	limit = cmp.Or(limits.Area, 0.01)
	if was, is := before.Area, after.Area; was > 0 && math.Abs(share(was, is)) > limit {
		s := 100 * share(was, is)
		tell("area-changed", fmt.Sprintf("面积由 %.2f 变为 %.2f 平方米（%+.2f%%），超过 ±%g%%，需要确认", was, is, s, 100*limit),
			fmt.Sprintf("the area changed from %.2f to %.2f m² (%+.2f%%), by more than %g%%: to be confirmed", was, is, s, 100*limit))
	}
	return out
}
