package main

import (
	"context"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"changde/postgis"
	"changde/postgis/postgistest"
	"changde/tiles/pmtiles"
)

// packOf reads the metadata of a pack: its layers, the releases of its datasets, and how
// many tiles it has.
func packOf(t *testing.T, path string) (layers []string, releases map[string]int, tiles uint64) {
	t.Helper()
	a, f, err := pmtiles.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := a.Metadata()
	if err != nil {
		t.Fatal(err)
	}
	var m struct {
		Layers []struct {
			ID string `json:"id"`
		} `json:"vector_layers"`
		Datasets []struct {
			ID      string `json:"id"`
			Release int    `json:"release"`
		} `json:"datasets"`
	}
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	releases = make(map[string]int)
	for _, d := range m.Datasets {
		releases[d.ID] = d.Release
	}
	for _, l := range m.Layers {
		layers = append(layers, l.ID)
	}
	return layers, releases, a.Header().Addressed
}

// An operator exports what there is, and for others only what they may see; what they may
// not see is answered as what does not exist.
func TestTilesExport(t *testing.T) {
	t.Parallel()
	p := program{t, postgistest.URL(t)}
	for _, org := range []string{"guotu", "shuili"} {
		p.expect(0, nil, "org", "add", org, org)
	}
	p.expect(0, nil, "org", "add", "zhengwu", "zhengwu", "--admin")
	for dataset, sharing := range map[string]string{"counties": "public", "plots": "internal", "secret": "private"} {
		p.expect(0, nil, "ingest", counties, "--dataset", dataset, "--yes", "--owner", "guotu", "--sender", "guotu", "--sharing", sharing)
	}
	p.expect(0, nil, "ingest", counties, "--dataset", "secret", "--yes", "--sender", "guotu")
	p.expect(0, nil, "dataset", "set", "secret", "--sharing", "internal") // of its releases this opens the current one
	p.expect(0, nil, "ingest", counties, "--dataset", "secret", "--yes", "--sender", "guotu")
	keys := make(map[string]string)
	for _, org := range []string{"guotu", "shuili"} {
		keys[org] = strings.Split(p.expect(0, nil, "key", "create", org), "_")[1]
	}
	dir := t.TempDir()
	out := filepath.Join(dir, "pack.pmtiles")
	export := func(args ...string) []string {
		return append([]string{"tiles", "export", "--out", out, "--force", "--zoom", "6-9"}, args...)
	}

	says := []string{"切片 cut counties", "合并写出 write", "plots：", "个瓦片", "MB"}
	code, told, errs := p.call(export("counties", "plots", "secret")...)
	for _, s := range says {
		if !strings.Contains(told+errs, s) {
			t.Errorf("does not say %q:\n%s%s", s, told, errs)
		}
	}
	layers, releases, all := packOf(t, out)
	if code != 0 || !slices.Equal(layers, []string{"counties", "plots", "secret"}) || releases["secret"] != 3 || all < 10 {
		t.Errorf("exit %d: layers %v of releases %v, %d tiles", code, layers, releases, all)
	}
	p.expect(0, nil, export("counties", "--bbox", "111.6,28.9,111.7,29.1")...)
	if _, _, n := packOf(t, out); n == 0 || n >= all {
		t.Errorf("%d tiles of a box, %d of all", n, all)
	}

	for _, c := range []struct {
		who     []string
		see     []string
		release []string // releases of secret that may be read
	}{
		{nil, []string{"counties", "plots", "secret"}, []string{"1", "2", "3"}},
		{[]string{"--as", "zhengwu"}, []string{"counties", "plots", "secret"}, []string{"1", "2", "3"}},
		{[]string{"--as", "guotu"}, []string{"counties", "plots", "secret"}, []string{"1", "2", "3"}},
		{[]string{"--key", keys["guotu"]}, []string{"counties", "plots", "secret"}, []string{"1", "2", "3"}},
		{[]string{"--as", "shuili"}, []string{"counties", "plots", "secret"}, []string{"2", "3"}},
		{[]string{"--key", keys["shuili"]}, []string{"counties", "plots", "secret"}, []string{"2", "3"}},
		{[]string{"--public"}, []string{"counties"}, nil},
	} {
		for _, dataset := range []string{"counties", "plots", "secret"} {
			code, says := 2, []string{"没有这个数据集", "dataset-unknown"}
			if slices.Contains(c.see, dataset) {
				code, says = 0, nil
			}
			p.expect(code, says, export(append(c.who, dataset)...)...)
		}
		for _, release := range []string{"1", "2", "3"} {
			if len(c.release) == 0 {
				continue
			}
			code, says := 2, []string{"release-not-kept"}
			if slices.Contains(c.release, release) {
				code, says = 0, nil
			}
			p.expect(code, says, export(append(c.who, "secret", "--release", release)...)...)
		}
	}
	if _, releases, _ := packOf(t, out); len(releases) != 1 {
		t.Errorf("the last pack has %v", releases)
	}

	p.expect(2, []string{"没有这个数据集"}, export("nothing")...)
	p.expect(2, []string{"没有这个数据集"}, export("counties", "secret", "--public")...)
	p.expect(2, []string{"organisation-unknown"}, export("counties", "--as", "nobody")...)
	p.expect(2, []string{"key-unknown"}, export("counties", "--key", "00000000")...)
	p.expect(2, []string{"--as", "--key"}, export("counties", "--as", "guotu", "--key", keys["guotu"])...)
	p.expect(2, []string{"export-release"}, export("counties", "plots", "--release", "1")...)
	p.expect(2, []string{"--bbox", "4 个数"}, export("counties", "--bbox", "1,2,3")...)
	p.expect(2, []string{"export-box"}, export("counties", "--bbox", "NaN,2,3,4")...)
	p.expect(2, []string{"export-empty", "数据的范围"}, export("counties", "--bbox", "1,2,3,4")...)
	p.expect(2, []string{"--zoom"}, "tiles", "export", "counties", "--out", out, "--force", "--zoom", "deep")
	p.expect(2, []string{"export-zoom", "18"}, "tiles", "export", "counties", "--out", out, "--force", "--zoom", "3-19")
	p.expect(2, []string{"export-file", "--force"}, "tiles", "export", "counties", "--out", out)
	p.expect(2, []string{"export-format"}, "tiles", "export", "counties", "--out", out+".zip")
	p.expect(0, nil, "tiles", "export", "counties", "--out", filepath.Join(dir, "pack.mbtiles"), "--zoom", "8")

	pool, err := postgis.Open(t.Context(), postgis.Config{URL: p.url, MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	var recorded bool
	if err := pool.QueryRow(context.Background(), `SELECT EXISTS (SELECT FROM changde.audit WHERE action = 'export-tiles' AND object = 'dataset:secret' AND detail->>'for' = 'shuili'
		AND detail->>'release' = '3' AND detail->>'file' = 'pack.pmtiles') AND NOT EXISTS (SELECT FROM changde.audit WHERE object = 'dataset:secret' AND detail->>'for' = 'public')`).Scan(&recorded); err != nil || !recorded {
		t.Errorf("the audit does not tell of the exports: %v", err)
	}
}
