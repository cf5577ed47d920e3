package features

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"changde/catalog"
	"changde/ingest/layer"
	"changde/postgis"
	"changde/problem"
)

// Feature appends one feature to dst as a GeoJSON Feature object. The API adds
// members of its own by cutting the closing brace, which is the last byte.
// A feature that the release does not have is problem.NotFound.
func (s *Store) Feature(ctx context.Context, d *catalog.Dataset, r *catalog.Release, fid int64, dst []byte) ([]byte, error) {
	props := properties(r.Columns)
	sql := selectFeatures(r.Columns)
	r.From(sql).Raw(" AND fid = ").Arg(fid)
	rows, err := s.pool.Query(ctx, sql.String(), options(props, nil, sql.Args())...)
	if err != nil {
		return dst, postgis.Fault(ctx, err, "read a feature of "+d.ID)
	}
	defer rows.Close()
	out, found := dst, false
	w := featureWriter{props: props, decimals: s.config.Decimals, box: emptyBox()}
	for rows.Next() {
		if out, _, err = w.append(out, rows.RawValues()); err != nil {
			return dst, postgis.Fault(ctx, err, "read a feature of "+d.ID)
		}
		found = true
	}
	if err := rows.Err(); err != nil {
		return dst, postgis.Fault(ctx, err, "read a feature of "+d.ID)
	}
	if !found {
		return dst, absent(d.ID, strconv.FormatInt(fid, 10))
	}
	return out, nil
}

// Locate finds the feature that ref names, in the release it names or the current
// one of a dataset that the view shows: by ref.Key when that is set, by ref.FID otherwise; a key in
// a dataset without a business key names nothing. It answers with all fields of the reference. Where
// several rows share a key, the lowest fid is the one.
//
// A dataset that is unknown or not for this caller and a feature that is not
// there are one and the same problem.NotFound.
func (s *Store) Locate(ctx context.Context, q pgx.Tx, view catalog.View, ref catalog.FeatureRef) (catalog.FeatureRef, error) {
	name := ref.Key
	if name == "" {
		name = strconv.FormatInt(ref.FID, 10)
	}
	d, ok := view.Dataset(ref.Collection)
	// PostgreSQL has no text with a NUL or with broken UTF-8.
	if !ok || !utf8.ValidString(name) || strings.IndexByte(name, 0) >= 0 {
		return catalog.FeatureRef{}, absent(ref.Collection, name)
	}
	sql, ok := locateSQL(d, ref)
	if !ok {
		return catalog.FeatureRef{}, absent(ref.Collection, name)
	}
	out := catalog.FeatureRef{Collection: d.ID, Release: ref.Release}
	var west, south, east, north *float64
	err := q.QueryRow(ctx, sql.String(), sql.Args()...).Scan(&out.FID, &out.Key, &out.Title, &west, &south, &east, &north)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return catalog.FeatureRef{}, absent(ref.Collection, name)
	case err != nil:
		return catalog.FeatureRef{}, postgis.Fault(ctx, err, "locate a feature of "+d.ID)
	}
	if west != nil && south != nil && east != nil && north != nil {
		out.Bounds = &catalog.Bounds{*west, *south, *east, *north}
	}
	return out, nil
}

func locateSQL(d *catalog.Dataset, ref catalog.FeatureRef) (*postgis.SQL, bool) {
	r := d.Current
	if ref.Release != nil {
		r = ref.Release
	}
	key, keyed := r.Column(d.BusinessKey)
	s := new(postgis.SQL).Raw("SELECT fid, ")
	textColumn(s, r, d.BusinessKey)
	s.Raw(", ")
	textColumn(s, r, d.Label)
	r.From(s.Raw(", ST_XMin(geom), ST_YMin(geom), ST_XMax(geom), ST_YMax(geom)")).Raw(" AND ")
	switch {
	case ref.Key == "":
		s.Raw("fid = ").Arg(ref.FID)
	case !keyed: // by fid it would be another feature
		return nil, false
	case key.Type == layer.Text:
		s.Ident(key.Name).Raw(" = ").Arg(ref.Key).Raw("::text")
	case key.Type == layer.Integer:
		// The column is compared as it is, so that an index on it serves.
		n, err := strconv.ParseInt(ref.Key, 10, 64)
		if err != nil {
			return nil, false
		}
		s.Ident(key.Name).Raw(" = ").Arg(n).Raw("::bigint")
	default:
		s.Ident(key.Name).Raw("::text = ").Arg(ref.Key).Raw("::text")
	}
	return s.Raw(" ORDER BY fid LIMIT 1"), true
}

// textColumn selects a column as text, ” when the release has none of that name.
func textColumn(s *postgis.SQL, r *catalog.Release, name string) {
	if _, ok := r.Column(name); !ok || name == "" {
		s.Raw("''")
		return
	}
	s.Raw("coalesce(").Ident(name).Raw("::text, '')")
}

func absent(collection, feature string) error {
	return problem.New(problem.NotFound, "feature-not-found", fmt.Sprintf("%s/%s", collection, feature),
		"没有这个要素", "there is no such feature")
}
