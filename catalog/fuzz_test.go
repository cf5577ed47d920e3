package catalog_test

import (
	"errors"
	"testing"

	"changde/catalog"
	"changde/problem"
)

// FuzzParseCity checks that a city that is read can be worked with.
func FuzzParseCity(f *testing.F) {
	f.Add([]byte(`{"nameZh":"张家界市","code":"430800","box":[109.6,28.7,111.4,29.9],"view":[110.4,29.1,110.6,29.2],"crs":[4545],"divisions":{}}`))
	f.Add([]byte(`{"nameZh":"x","box":[1,2,1e999,4]}`))
	f.Add([]byte(`{"nameZh":"x","box":[109,28,111,29],"view":[5,4,3,2],"crs":[4546]}`))
	f.Add([]byte(`[`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := catalog.ParseCity(data)
		var p *problem.Error
		switch {
		case err != nil && (!errors.As(err, &p) || p.Kind != problem.Invalid || p.ZH == "" || p.EN == ""):
			t.Fatalf("not a problem: %v", err)
		case err == nil && (!c.Box.Valid() || !c.View.Valid() || !c.Box.Contains(c.Box[0], c.Box[1]) || c.NameZH == "" || len(c.CRS) == 0):
			t.Fatalf("%+v", c)
		}
	})
}
