package profile

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// FuzzDecode checks that no bytes crash Decode and Check, that every issue has its
// texts, and that what is read without issues is written and read again the same.
func FuzzDecode(f *testing.F) {
	lib, err := Builtin()
	if err != nil {
		f.Fatal(err)
	}
	for _, p := range lib.Profiles() {
		f.Add(encoded(f, p))
	}
	for _, tt := range spoiled {
		f.Add([]byte(spoil(f, tt.old, tt.with)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, found, err := Decode(bytes.NewReader(data))
		if err != nil {
			firstIssue(t, nil, err)
			return
		}
		firstIssue(t, found, nil)
		firstIssue(t, Check(p, lib), nil)
		if len(found) > 0 {
			return
		}
		text := encoded(t, p)
		q, found, err := Decode(bytes.NewReader(text))
		if err != nil || len(found) > 0 {
			t.Fatalf("%v %v\n%s", err, found, text)
		}
		if diff := cmp.Diff(p, q); diff != "" {
			t.Fatalf("-read +read again:\n%s", diff)
		}
	})
}

// FuzzDecodeCodes checks that no bytes crash DecodeCodes, and that the table of
// what is accepted holds together.
func FuzzDecodeCodes(f *testing.F) {
	f.Add(`{"id": "a", "title": {"zh": "甲", "en": "a"}, "edition": "1", "open": {"lengths": [6, 7], "prefix": 2, "pad": 6}}`,
		"code,name,parent,group,geometry\n210000,河流,,1,LA\n210100,常年河,210000,,\n", "213000")
	f.Add(`{"id": "a", "title": {"zh": "甲", "en": "a"}, "edition": "1", "partial": true}`, "code,name\n\"1\",甲\n", "1")
	f.Add(`{}`, "code,name\n1,2,3\n", "")
	f.Fuzz(func(t *testing.T, head, rows, code string) {
		c, found, err := DecodeCodes(strings.NewReader(head), strings.NewReader(rows))
		firstIssue(t, found, err)
		if err != nil {
			return
		}
		for row := range c.Each() {
			if got, ok := c.Get(row.Code); !ok || !cmp.Equal(got, row) {
				t.Fatalf("row %q is not found", row.Code)
			}
			if len(found) == 0 && c.Valid(row.Code) == row.Group {
				t.Fatalf("%q is valid: %t", row.Code, !row.Group)
			}
			c.Path(row.Code)
			c.Fits(row.Code, "Point")
		}
		if verdict := c.Judge(Field{}, "Geometry", code); (verdict == Accepted) != c.Valid(code) {
			t.Fatalf("%q: %q, but valid is %t", code, verdict, c.Valid(code))
		}
	})
}
