package access_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"

	"changde/access"
	"changde/postgis/postgistest"
	"changde/problem"
)

func TestMain(m *testing.M) { postgistest.Main(m) }

func wantProblem(t *testing.T, err error, kind problem.Kind, code string) {
	t.Helper()
	p, ok := problemOf(err)
	if !ok || p.Kind != kind || p.Code != code {
		t.Fatalf("error %v, want %s %s", err, kind, code)
	}
	if p.ZH == "" || p.EN == "" {
		t.Errorf("%s has no text in one of the languages", code)
	}
}

func problemOf(err error) (*problem.Error, bool) {
	for err != nil {
		if p, ok := err.(*problem.Error); ok {
			return p, true
		}
		u, ok := err.(interface{ Unwrap() error })
		if !ok {
			return nil, false
		}
		err = u.Unwrap()
	}
	return nil, false
}

func newStore(t *testing.T) (*access.Store, *pgxpool.Pool) {
	t.Helper()
	pool := postgistest.New(t)
	s := access.NewStore(pool)
	for _, o := range []access.Organisation{
		{ID: "land", NameZH: "国土局", NameEN: "Land bureau"},
		{ID: "egov", NameZH: "电子政务办", Admin: true},
	} {
		if err := s.AddOrganisation(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	return s, pool
}

func TestOrganisations(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t)
	ctx := t.Context()
	got, err := s.Organisations(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for i := range got {
		if got[i].CreatedAt.IsZero() {
			t.Error("no time of creation")
		}
		got[i].CreatedAt = time.Time{}
	}
	want := []access.Organisation{
		{ID: "egov", NameZH: "电子政务办", Admin: true},
		{ID: "land", NameZH: "国土局", NameEN: "Land bureau"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	wantProblem(t, s.AddOrganisation(ctx, access.Organisation{ID: "land", NameZH: "又一个"}), problem.Conflict, "organisation-exists")
	for _, id := range []string{"", "Land", "1a", "国土", strings.Repeat("a", 64), "a b", "a\x00"} {
		wantProblem(t, s.AddOrganisation(ctx, access.Organisation{ID: id, NameZH: "名"}), problem.Invalid, "organisation-id")
	}
	for name, code := range map[string]string{"": "name-empty", "  ": "name-empty", "a\nb": "name-characters", "a\x00": "name-characters", "\xff": "name-characters"} {
		wantProblem(t, s.AddOrganisation(ctx, access.Organisation{ID: "x", NameZH: name}), problem.Invalid, code)
	}
	wantProblem(t, s.AddOrganisation(ctx, access.Organisation{ID: "x", NameZH: strings.Repeat("名", 201)}), problem.TooLarge, "name-long")
	if err := s.AddOrganisation(ctx, access.Organisation{ID: "x", NameZH: strings.Repeat("名", 200)}); err != nil {
		t.Error(err)
	}
}

func TestKeyLife(t *testing.T) {
	t.Parallel()
	s, pool := newStore(t)
	ctx := t.Context()
	plain, key, err := s.CreateKey(ctx, "land", "测试", access.Reader, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	if key.ExpiresAt != nil || key.RevokedAt != nil || key.Organisation != "land" || key.Label != "测试" || key.CreatedAt.IsZero() {
		t.Errorf("key %+v", key)
	}
	p, err := s.Authenticate(ctx, plain)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(access.Principal{Organisation: "land", NameZH: "国土局", NameEN: "Land bureau", KeyID: key.ID, Role: access.Reader}, p); diff != "" {
		t.Error(diff)
	}
	adminPlain, _, err := s.CreateKey(ctx, "egov", "", access.Reader, time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if p, err := s.Authenticate(ctx, adminPlain); err != nil || !p.Admin {
		t.Errorf("admin %+v, %v", p, err)
	}

	var dump string
	if err := pool.QueryRow(ctx, `SELECT string_agg(k::text, ' ') FROM changde.keys k`).Scan(&dump); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(dump, plain[12:40]) {
		t.Error("the database holds the key itself")
	}

	// Every way to fail gives one and the same error.
	failures := map[string]string{"empty": "", "garbage": "nonsense", "long": strings.Repeat("x", 10_000), "NUL": "cd_\x00"}
	failures["mistyped"] = plain[:len(plain)-1] + "1"
	expired, expiredKey, err := s.CreateKey(ctx, "land", "", access.Reader, time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Authenticate(ctx, expired); err != nil {
		t.Fatalf("before it expires: %v", err)
	}
	if _, err := pool.Exec(ctx, `UPDATE changde.keys SET expires_at = now() - interval '1 s' WHERE id = $1`, expiredKey.ID); err != nil {
		t.Fatal(err)
	}
	failures["expired"] = expired
	revoked, revokedKey, err := s.CreateKey(ctx, "land", "", access.Reader, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Authenticate(ctx, revoked); err != nil {
		t.Fatalf("before it is revoked: %v", err)
	}
	for range 2 {
		if err := s.RevokeKey(ctx, revokedKey.ID); err != nil {
			t.Fatal(err)
		}
	}
	failures["revoked"] = revoked
	deleted, deletedKey, err := s.CreateKey(ctx, "land", "", access.Reader, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pool.Exec(ctx, `DELETE FROM changde.keys WHERE id = $1`, deletedKey.ID); err != nil {
		t.Fatal(err)
	}
	failures["unknown"] = deleted
	other, otherKey, err := s.CreateKey(ctx, "land", "", access.Reader, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	// A well-formed key whose id exists, with the hash of another.
	if _, err := pool.Exec(ctx, `UPDATE changde.keys SET hash = (SELECT hash FROM changde.keys WHERE id = $2) WHERE id = $1`, otherKey.ID, key.ID); err != nil {
		t.Fatal(err)
	}
	failures["wrong secret"] = other
	var text string
	for name, k := range failures {
		p, err := s.Authenticate(ctx, k)
		if p != (access.Principal{}) {
			t.Errorf("%s: a principal came back: %+v", name, p)
		}
		wantProblem(t, err, problem.Unauthenticated, "key-invalid")
		if text == "" {
			text = err.Error()
		} else if err.Error() != text {
			t.Errorf("%s is told apart: %v", name, err)
		}
	}
	if _, err := s.Authenticate(ctx, plain); err != nil {
		t.Errorf("the first key ended with the others: %v", err)
	}

	list, err := s.Keys(ctx, "land")
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 4 || list[3].ID != key.ID {
		t.Errorf("keys %+v", list)
	}
	for _, k := range list {
		if (k.RevokedAt != nil) != (k.ID == revokedKey.ID) || (k.ExpiresAt != nil) != (k.ID == expiredKey.ID) {
			t.Errorf("key %+v", k)
		}
	}
	_, err = s.Keys(ctx, "nobody")
	wantProblem(t, err, problem.NotFound, "organisation-unknown")
	wantProblem(t, s.RevokeKey(ctx, "zzzzzzzz"), problem.NotFound, "key-unknown")
	wantProblem(t, s.RevokeKey(ctx, plain), problem.Invalid, "key-id")
	for _, at := range []time.Time{time.Now().Add(-time.Second), time.Now().AddDate(11, 0, 0)} {
		_, _, err = s.CreateKey(ctx, "land", "", access.Reader, at)
		wantProblem(t, err, problem.Invalid, "key-expiry")
	}
	_, _, err = s.CreateKey(ctx, "nobody", "", access.Reader, time.Time{})
	wantProblem(t, err, problem.NotFound, "organisation-unknown")
	_, _, err = s.CreateKey(ctx, "land", strings.Repeat("a", 201), access.Reader, time.Time{})
	wantProblem(t, err, problem.TooLarge, "name-long")
}

// Many callers at once do not get past the bound of 100 live keys, and a revoked
// or expired key makes room.
func TestLiveKeysAreBounded(t *testing.T) {
	t.Parallel()
	s, pool := newStore(t)
	ctx := t.Context()
	if _, err := pool.Exec(ctx, `INSERT INTO changde.keys (id, organisation, hash)
		SELECT lpad(n::text, 8, '0'), 'land', sha256(n::text::bytea) FROM generate_series(1, 97) n`); err != nil {
		t.Fatal(err)
	}
	create := func() error {
		_, _, err := s.CreateKey(ctx, "land", "", access.Reader, time.Time{})
		return err
	}
	var made sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		made.Go(func() { errs[i] = create() })
	}
	made.Wait()
	ok := 0
	for _, err := range errs {
		if err == nil {
			ok++
			continue
		}
		wantProblem(t, err, problem.Conflict, "keys-too-many")
	}
	if ok != 3 {
		t.Errorf("%d keys were made where there was room for 3", ok)
	}
	for i := range 2 {
		if i == 0 {
			if err := s.RevokeKey(ctx, fmt.Sprintf("%08d", 1)); err != nil {
				t.Fatal(err)
			}
		} else if _, err := pool.Exec(ctx, `UPDATE changde.keys SET expires_at = now() WHERE id = '00000002'`); err != nil {
			t.Fatal(err)
		}
		if err := create(); err != nil {
			t.Errorf("there is room again: %v", err)
		}
		wantProblem(t, create(), problem.Conflict, "keys-too-many")
	}
}

// On behalf of whom something is made is told by the organisation or by the id of a
// live key, and comes to what the key itself opens.
func TestOnBehalf(t *testing.T) {
	t.Parallel()
	s, pool := newStore(t)
	ctx := t.Context()
	plain, key, err := s.CreateKey(ctx, "land", "", access.Contributor, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	want, err := s.Authenticate(ctx, plain)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s.AsKey(ctx, key.ID); err != nil || got != want {
		t.Errorf("as the key %+v, %v; want %+v", got, err, want)
	}
	for id, want := range map[string]access.Principal{
		"land": {Organisation: "land", NameZH: "国土局", NameEN: "Land bureau", Role: access.Reader},
		"egov": {Organisation: "egov", NameZH: "电子政务办", Admin: true, Role: access.Reader},
	} {
		if got, err := s.AsOrganisation(ctx, id); err != nil || got != want {
			t.Errorf("as %s %+v, %v", id, got, err)
		}
	}
	_, err = s.AsOrganisation(ctx, "water")
	wantProblem(t, err, problem.NotFound, "organisation-unknown")
	_, err = s.AsOrganisation(ctx, "Land'")
	wantProblem(t, err, problem.Invalid, "organisation-id")
	_, err = s.AsKey(ctx, plain)
	wantProblem(t, err, problem.Invalid, "key-id")
	if strings.Contains(err.Error(), plain) {
		t.Error("the error tells the key")
	}
	_, err = s.AsKey(ctx, "00000000")
	wantProblem(t, err, problem.NotFound, "key-unknown")

	_, brief, err := s.CreateKey(ctx, "land", "", access.Reader, time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.AsKey(ctx, brief.ID); err != nil {
		t.Error(err)
	}
	if _, err := pool.Exec(ctx, "UPDATE changde.keys SET created_at = now() - interval '2 hours', expires_at = now() - interval '1 hour' WHERE id = $1", brief.ID); err != nil {
		t.Fatal(err)
	}
	_, err = s.AsKey(ctx, brief.ID)
	wantProblem(t, err, problem.NotFound, "key-unknown")
	if err := s.RevokeKey(ctx, key.ID); err != nil {
		t.Fatal(err)
	}
	_, err = s.AsKey(ctx, key.ID)
	wantProblem(t, err, problem.NotFound, "key-unknown")
}
