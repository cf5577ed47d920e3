package layer

import "testing"

func TestTypeNames(t *testing.T) {
	t.Parallel()
	for typ := Text; typ <= Timestamp; typ++ {
		if got, ok := ParseType(typ.String()); !ok || got != typ {
			t.Errorf("%s parses as %v, %v", typ, got, ok)
		}
	}
	if _, ok := ParseType("colour"); ok {
		t.Error("an unknown name is a type")
	}
}
