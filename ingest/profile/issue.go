package profile

import (
	"fmt"
	"slices"
	"strings"

	"changde/ingest/finding"
)

// Issue is one thing that is wrong with a profile or a code table. Path is the
// place in the JSON document, as in "$.fields[3].length". Severity is Error for
// what makes the profile unusable, Warn for what its owner should look at.
type Issue struct {
	Path     string           `json:"path"`
	Code     string           `json:"code"` // lower case with dashes, stable
	Severity finding.Severity `json:"severity"`
	ZH       string           `json:"zh"`
	EN       string           `json:"en"`
}

// String gives the place and both texts, Chinese first.
func (i Issue) String() string {
	return i.Path + ": " + i.ZH + " / " + i.EN
}

// Failed reports whether an issue makes the profile unusable.
func Failed(issues []Issue) bool {
	return slices.ContainsFunc(issues, func(i Issue) bool { return i.Severity != finding.Warn })
}

// maxIssues bounds what one document can make the checker say.
const maxIssues = 500

// issues collects up to maxIssues.
type issues struct{ list []Issue }

func (s *issues) add(severity finding.Severity, path, code, zh, en string) {
	if len(s.list) < maxIssues {
		s.list = append(s.list, Issue{Path: path, Code: code, Severity: severity, ZH: zh, EN: en})
	}
}

func (s *issues) error(path, code, zh, en string) { s.add(finding.Error, path, code, zh, en) }
func (s *issues) warn(path, code, zh, en string)  { s.add(finding.Warn, path, code, zh, en) }

// joined is the texts of the first issues that fail, for an error.
func joined(list []Issue) (zh, en string) {
	const most = 5
	var zhs, ens []string
	failed := 0
	for _, i := range list {
		if i.Severity == finding.Warn {
			continue
		}
		if failed++; failed <= most {
			zhs = append(zhs, i.Path+" "+i.ZH)
			ens = append(ens, i.Path+" "+i.EN)
		}
	}
	if failed > most {
		zhs = append(zhs, fmt.Sprintf("另有 %d 处", failed-most))
		ens = append(ens, fmt.Sprintf("and %d more", failed-most))
	}
	return strings.Join(zhs, "；"), strings.Join(ens, "; ")
}

// cite shortens what a message quotes from a file.
func cite(s string) string {
	const most = 60
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return fmt.Sprintf("%q", s)
}
