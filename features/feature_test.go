package features

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"changde/catalog"
	"changde/ingest/layer"
	"changde/postgis"
	"changde/postgis/postgistest"
	"changde/problem"
)

type reader bool

func (r reader) MayRead(_, sharing string) bool { return bool(r) || sharing == "public" }

func TestFeature(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	s := NewStore(pool, Config{})
	d := parcels(t, pool, 10, 5)
	got, err := s.Feature(t.Context(), d, d.Current, 3, []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	_, all := items(t, s, d, Query{Limit: 1, AfterFID: new(int64(2))})
	if "x"+string(all) != string(got) {
		t.Errorf("Feature %s\nItems %s", got, all)
	}
	got, err = s.Feature(t.Context(), d, d.Current, 11, []byte("x"))
	if !problem.Is(err, problem.NotFound) || string(got) != "x" {
		t.Errorf("an absent feature: %s, %v", got, err)
	}
}

func TestLocate(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	s := NewStore(pool, Config{})
	open := parcels(t, pool, 10, 5)
	secret := parcels(t, pool, 11, 5)
	secret.Sharing = catalog.Private
	numbered := everything(t, pool)
	plain := table(t, pool, "plain", "Point", []catalog.Column{{Name: "code", Type: layer.Decimal}})
	fill(t, pool, plain, new(postgis.SQL).Raw("INSERT INTO content.plain VALUES (5, 1.50, 1, NULL), (4, 1.50, 1, NULL)"))
	byDecimal := *plain
	byDecimal.ID, byDecimal.BusinessKey = "decimal", "code"
	view := catalog.NewSnapshot([]*catalog.Dataset{open, secret, numbered, plain, &byDecimal}).For(reader(false))

	tests := []struct {
		name string
		ref  catalog.FeatureRef
		want *catalog.FeatureRef
	}{
		{
			"by text key",
			catalog.FeatureRef{Collection: open.ID, Key: "P00000003", FID: 9},
			&catalog.FeatureRef{Collection: open.ID, FID: 3, Key: "P00000003", Title: "住宅用地"},
		},
		{"by fid", catalog.FeatureRef{Collection: open.ID, FID: 4}, &catalog.FeatureRef{Collection: open.ID, FID: 4, Key: "P00000004", Title: "水田"}},
		{"by integer key", catalog.FeatureRef{Collection: "everything", Key: "42"}, &catalog.FeatureRef{Collection: "everything", FID: 1, Key: "42", Title: "常德市𠮷"}},
		{"by decimal key, lowest fid", catalog.FeatureRef{Collection: "decimal", Key: "1.50"}, &catalog.FeatureRef{Collection: "decimal", FID: 4, Key: "1.50"}},
		{"no business key", catalog.FeatureRef{Collection: "plain", FID: 5, Key: "x"}, nil},
		{"no business key, no fid", catalog.FeatureRef{Collection: "plain", Key: "5"}, nil},
		{"absent key", catalog.FeatureRef{Collection: open.ID, Key: "P9"}, nil},
		{"absent fid", catalog.FeatureRef{Collection: open.ID, FID: 99}, nil},
		{"key that is no number", catalog.FeatureRef{Collection: "everything", Key: "x"}, nil},
		{"key that is no text", catalog.FeatureRef{Collection: open.ID, Key: "a\x00"}, nil},
		{"key that is no UTF-8", catalog.FeatureRef{Collection: open.ID, Key: "\xff"}, nil},
		{"not for this caller", catalog.FeatureRef{Collection: secret.ID, FID: 1}, nil},
		{"unknown dataset", catalog.FeatureRef{Collection: "nowhere", FID: 1}, nil},
	}
	err := pgx.BeginFunc(context.Background(), pool, func(tx pgx.Tx) error {
		for _, tt := range tests {
			got, err := s.Locate(context.Background(), tx, view, tt.ref)
			if tt.want == nil {
				var p *problem.Error
				if !problem.Is(err, problem.NotFound) || !asProblem(err, &p) || p.EN != "there is no such feature" || p.Err != nil {
					t.Errorf("%s: %+v, %v", tt.name, got, err)
				}
				continue
			}
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
				continue
			}
			if hasBounds := tt.ref.Collection == open.ID || tt.ref.Collection == "everything"; hasBounds != (got.Bounds != nil) {
				t.Errorf("%s: bounds %v", tt.name, got.Bounds)
			}
			got.Bounds = nil
			if diff := cmp.Diff(*tt.want, got); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tt.name, diff)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	all := catalog.NewSnapshot([]*catalog.Dataset{secret}).For(reader(true))
	err = pgx.BeginFunc(context.Background(), pool, func(tx pgx.Tx) error {
		_, err := s.Locate(context.Background(), tx, all, catalog.FeatureRef{Collection: secret.ID, FID: 1})
		return err
	})
	if err != nil {
		t.Errorf("for its owner: %v", err)
	}
}

func asProblem(err error, p **problem.Error) bool {
	q, ok := err.(*problem.Error)
	*p = q
	return ok
}
