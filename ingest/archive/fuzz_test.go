package archive

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"changde/problem"
)

func FuzzUnpack(f *testing.F) {
	f.Add(pack(f, member{name: "a.txt", data: "x"}))
	f.Add(pack(f, member{name: gbk(f, "数据/县界.shp"), data: strings.Repeat("常德", 50)}, member{name: "b/", data: ""}))
	f.Add(pack(f, member{name: "../a", data: "x"}))
	f.Add(overlapping(f))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 {
			return
		}
		parent := t.TempDir()
		path, dir := filepath.Join(parent, "a.zip"), filepath.Join(parent, "out")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		members, err := Unpack(t.Context(), path, dir, Limits{Members: 20, Bytes: 1 << 20})
		if err != nil {
			if left := tree(t, dir); left != nil {
				t.Fatalf("left behind after %v: %v", err, left)
			}
			if _, ok := errors.AsType[*problem.Error](err); !ok {
				t.Fatalf("not a problem: %v", err)
			}
		}
		for _, m := range members {
			rel, err := filepath.Rel(dir, m.Path)
			if err != nil || !filepath.IsLocal(rel) {
				t.Fatalf("%q is outside", m.Path)
			}
			if info, err := os.Lstat(m.Path); err != nil || info.Size() != m.Size || !info.Mode().IsRegular() {
				t.Fatalf("%v %v", info, err)
			}
		}
		if got := tree(t, parent); len(got) > 2 && got[0] != "a.zip" {
			t.Fatal(got)
		}
	})
}

func FuzzCleanName(f *testing.F) {
	for _, s := range []string{"a/b", "../a", `a\..\..\b`, "c:x", "./a//b/.", "数据/县界.shp", "a\u202eb"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		got, err := cleanName(name, "a.zip", 8)
		if err != nil || got == "" {
			return
		}
		if !filepath.IsLocal(got) || strings.ContainsAny(got, "\\\x00") || strings.Count(got, "/") > 7 {
			t.Errorf("%q -> %q", name, got)
		}
		if again, err := cleanName(got, "a.zip", 8); err != nil || again != got {
			t.Errorf("%q -> %q -> %q, %v", name, got, again, err)
		}
	})
}
