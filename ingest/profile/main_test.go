package profile

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files and the canonical form of the built-in profiles")

const builtinDir = "../../schemas/profiles"

func builtin(t testing.TB) *Library {
	t.Helper()
	lib, err := Builtin()
	if err != nil {
		t.Fatal(err)
	}
	return lib
}

func encoded(t testing.TB, p *Profile) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Encode(&b, p); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestBuiltinCanonical: the files are as Encode writes them, so that a change of
// one is a change of one line.
func TestBuiltinCanonical(t *testing.T) {
	t.Parallel()
	for _, p := range builtin(t).Profiles() {
		name := filepath.Join(builtinDir, p.ID+".json")
		want := encoded(t, p)
		if *update {
			if err := os.WriteFile(name, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not in canonical form; run go test ./ingest/profile -update", name)
		}
	}
}

func TestBuiltinPassesCheck(t *testing.T) {
	t.Parallel()
	lib := builtin(t)
	for _, p := range lib.Profiles() {
		for _, i := range Check(p, lib) {
			t.Errorf("%s: %v", p.ID, i)
		}
	}
}
