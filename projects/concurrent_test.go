package projects_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"changde/catalog"
	"changde/problem"
)

func TestConcurrentDeclarations(t *testing.T) {
	b := setup(t)
	const n = 8
	codes := make([]string, n)
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			members := []string{`planYear:2012`}
			if i%2 == 0 {
				members = append(members, `assets:[{"type":"camera","name":"x","geometry":`+point(111.7, 29)+`}]`)
			}
			p, err := b.declare(land, body(members...))
			if errs[i] = err; err == nil {
				codes[i] = p.Code
			}
		})
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
	slices.Sort(codes)
	for i, code := range codes {
		if want := fmt.Sprintf("CD-EG-2012-%04d", i+1); code != want {
			t.Errorf("code %s, want %s", code, want)
		}
	}
	var got string
	b.scan(&got, `SELECT concat_ws(' ', (SELECT count(DISTINCT rev) FROM changde.projects), (SELECT count(DISTINCT rev) FROM changde.assets),
		(SELECT string_agg(d.id || ' ' || d.revision || ' ' || r.rows, ' ' ORDER BY d.id) FROM changde.datasets d JOIN changde.releases r ON r.dataset = d.id WHERE d.kind = 'edited'))`)
	if want := "8 4 assets 5 4 projects 9 8"; got != want {
		t.Errorf("%s, want %s", got, want)
	}

	// One code, declared at once: one wins, the others are told that it is there.
	for i := range n {
		all.Go(func() { _, errs[i] = b.declare(land, body(`code:"SAME-1"`)) })
	}
	all.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else {
			wantProblem(t, err, problem.Conflict, "project-exists", "/code")
		}
	}
	if won != 1 {
		t.Errorf("%d declarations of one code", won)
	}
}

func TestCodes(t *testing.T) {
	b := setup(t)
	b.mustDeclare(land, body(`code:"CD-EG-2012-9999"`))
	b.mustDeclare(land, body(`code:"CD-EG-2012-0002"`))
	b.mustDeclare(land, body(`code:"TRAP"`, `assets:[{"type":"camera","name":"x","code":"CD-EG-2012-0001-A001","geometry":`+point(111.7, 29)+`}]`))
	p := b.mustDeclare(land, body(`assets:[{"type":"camera","name":"x","geometry":`+point(111.7, 29)+`}]`))
	if p.Code != "CD-EG-2012-0001" || p.Assets[0].Key != "CD-EG-2012-0001-A002" {
		t.Errorf("%s with %+v", p.Code, p.Assets)
	}
	if p := b.mustDeclare(land, body()); p.Code != "CD-EG-2012-0003" {
		t.Errorf("code %s after a number that was chosen", p.Code)
	}
	if p := b.mustDeclare(egov, body(`organisation:"plan"`)); p.Organisation != "plan" {
		t.Errorf("declared for %s", p.Organisation)
	}
}

// An asset that no project has constructed gets the first that does as its origin.
func TestOrigin(t *testing.T) {
	b := setup(t)
	b.mustDeclare(land, body(`code:"USER"`, `assets:[{"type":"camera","name":"x","code":"CAM-1","role":"uses","geometry":`+point(111.7, 29)+`}]`))
	b.mustDeclare(land, body(`code:"MAKER"`, `assets:[{"collection":"assets","key":"CAM-1","role":"constructs"}]`))
	var got string
	b.scan(&got, `SELECT concat_ws(' ', p.code, a.rev, d.revision, r.rows) FROM changde.assets a JOIN changde.projects p ON p.fid = a.project_fid
		JOIN changde.datasets d ON d.id = 'assets' JOIN changde.releases r ON r.dataset = 'assets'`)
	if got != "MAKER 3 3 1" {
		t.Errorf("origin %s", got)
	}
	_, err := b.declare(land, body(`assets:[{"collection":"assets","key":"CAM-1","role":"constructs"}]`))
	wantProblem(t, err, problem.Conflict, "asset-constructed", "/assets/0")
	b.mustDeclare(land, body(`code:"RENEWER"`, `assets:[{"collection":"assets","key":"CAM-1","role":"upgrades"}]`))
	_, links, err := b.store.OfFeature(t.Context(), b.view(land), catalog.FeatureRef{Collection: "assets", FID: 1, Key: "CAM-1"})
	if err != nil {
		t.Fatal(err)
	}
	var roles []string
	for _, l := range links {
		roles = append(roles, l.Code+" "+l.Role)
	}
	if diff := cmp.Diff([]string{"MAKER constructs", "RENEWER upgrades", "USER uses"}, roles); diff != "" {
		t.Error(diff)
	}
}
