package ingest

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"changde/ingest/finding"
	"changde/postgis"
	"changde/problem"
)

// transform brings a table loaded in another CRS to EPSG:4490 by PostGIS, and
// refuses what then lies outside the box.
func (l *loader) transform(ctx context.Context, tx pgx.Tx, table string) error {
	s := new(postgis.SQL)
	s.Raw("ALTER TABLE ").Ident("content", table).Raw(" ALTER COLUMN geom TYPE ")
	geometryType(s, l.plan.geometry, l.plan.z, storageSRID)
	s.Raw(" USING ST_Transform(geom, ").Int(storageSRID).Raw(")")
	if _, err := tx.Exec(ctx, s.String()); err != nil {
		var p *pgconn.PgError
		if errors.As(err, &p) && strings.Contains(strings.ToLower(p.Message), "transform") {
			return problem.Wrap(err, problem.Invalid, "not-transformable", l.plan.CRS.Value,
				"坐标无法换算到 EPSG:4490，请核对坐标系："+p.Message, "the coordinates cannot be transformed to EPSG:4490; check the CRS: "+p.Message)
		}
		return fmt.Errorf("transform: %w", err)
	}
	b := l.plan.box
	s = new(postgis.SQL)
	s.Raw("WITH outside AS (DELETE FROM ").Ident("content", table).
		Raw(" WHERE geom IS NOT NULL AND NOT coalesce(geom @ ST_MakeEnvelope(").Arg(b[0]).Raw(", ").Arg(b[1]).Raw(", ").Arg(b[2]).Raw(", ").Arg(b[3]).
		Raw(", 4490), false) RETURNING fid, geom) SELECT fid, ST_X(c), ST_Y(c) FROM (SELECT fid, ST_Centroid(Box2D(geom)::geometry) AS c FROM outside) o ORDER BY fid")
	rows, err := tx.Query(ctx, s.String(), s.Args()...)
	if err != nil {
		return fmt.Errorf("refuse rows outside the box: %w", err)
	}
	var fid int64
	var lon, lat *float64
	_, err = pgx.ForEachRow(rows, []any{&fid, &lon, &lat}, func() error {
		row, file := l.rowOf(fid)
		f := finding.Finding{
			Row: row, File: file, Code: "outside-box", Action: finding.Refused,
			ZH: "坐标超出数据集范围 " + boxText(b), EN: "the coordinates are outside the dataset's box " + boxText(b),
		}
		if lon != nil && lat != nil {
			f.Place = placeOf([4]float64{*lon, *lat, *lon, *lat})
		}
		l.found.add(f)
		return nil
	})
	if err != nil {
		return fmt.Errorf("refuse rows outside the box: %w", err)
	}
	s = new(postgis.SQL)
	s.Raw("UPDATE ").Ident("content", table).Raw(" SET span = ").Raw(spanSQL).Raw(" WHERE geom IS NOT NULL")
	if _, err := tx.Exec(ctx, s.String()); err != nil {
		return fmt.Errorf("measure spans: %w", err)
	}
	return nil
}

// spanSQL is the larger side of the bounding box, in degrees.
const spanSQL = "greatest(ST_XMax(geom) - ST_XMin(geom), ST_YMax(geom) - ST_YMin(geom))"

// validate finds invalid geometries and repairs or refuses them by the policy.
// Rows are found once, with the mended geometry beside the reason, so that the
// table is read a single time.
func (l *loader) validate(ctx context.Context, tx pgx.Tx, table string) error {
	// Shapes that PostGIS transformed are not those that were looked at.
	listed := l.inGo && !l.gauge.manyUnsure
	if listed && len(l.gauge.unsure) == 0 {
		return nil
	}
	create := new(postgis.SQL)
	create.Raw("CREATE TEMP TABLE invalid ON COMMIT DROP AS SELECT fid, reason(d) AS reason, ST_X(location(d)) AS lon, ST_Y(location(d)) AS lat, left(ST_AsText(geom, 8), 1000) AS before, ")
	if l.plan.request.Policy == Refuse {
		create.Raw("NULL::geometry AS geom, 0::float8 AS area")
	} else {
		create.Add(l.mended()).Raw(" AS geom, ST_Area(geom) AS area")
	}
	create.Raw(" FROM (SELECT fid, geom, ST_IsValidDetail(geom) AS d FROM ").Ident("content", table).Raw(" WHERE NOT ST_IsValid(geom)")
	if listed {
		create.Raw(" AND fid = ANY(").Arg(l.gauge.unsure).Raw("::bigint[])")
	}
	create.Raw(") i")
	if l.plan.request.Mode != Full {
		// A second process would be started for longer than it works.
		if _, err := tx.Exec(ctx, "SET LOCAL max_parallel_workers_per_gather = 0"); err != nil {
			return fmt.Errorf("check validity: %w", err)
		}
	}
	if _, err := tx.Exec(ctx, create.String(), create.Args()...); err != nil {
		return fmt.Errorf("check validity: %w", err)
	}
	if _, err := tx.Exec(ctx, "SET LOCAL max_parallel_workers_per_gather TO DEFAULT"); err != nil {
		return fmt.Errorf("check validity: %w", err)
	}
	rows, err := tx.Query(ctx, `SELECT fid, coalesce(reason, ''), lon, lat, geom IS NOT NULL AND NOT ST_IsEmpty(geom),
		CASE WHEN area > 0 THEN abs(ST_Area(geom) - area) / area END, before, coalesce(left(ST_AsText(geom, 8), 1000), '')
		FROM invalid ORDER BY fid`)
	if err != nil {
		return fmt.Errorf("read invalid rows: %w", err)
	}
	var fid int64
	var reason, before, after string
	var lon, lat, change *float64
	var repaired bool
	n, err := pgx.ForEachRow(rows, []any{&fid, &reason, &lon, &lat, &repaired, &change, &before, &after}, func() error {
		row, file := l.rowOf(fid)
		f := finding.Finding{Row: row, File: file, Code: "geometry-invalid", Action: finding.Refused, ZH: "几何无效：" + reasonZH(reason), EN: "invalid geometry: " + reason}
		if lon != nil && lat != nil {
			f.Place = placeOf([4]float64{*lon, *lat, *lon, *lat})
		}
		switch {
		case repaired:
			f.Action, f.Before, f.After = finding.Repaired, before, after
			f.ZH, f.EN = f.ZH+"，已修复", f.EN+"; repaired"
			if change != nil {
				f.ZH += fmt.Sprintf("，面积变化 %.4g%%", *change*100)
				f.EN += fmt.Sprintf(", area changed by %.4g%%", *change*100)
			}
		case l.plan.request.Policy == Repair:
			f.ZH, f.EN = f.ZH+"，修复后为空", f.EN+"; nothing is left after repair"
		}
		l.found.add(f)
		return nil
	})
	if err != nil {
		return fmt.Errorf("read invalid rows: %w", err)
	}
	if n.RowsAffected() == 0 {
		return nil
	}
	for _, s := range []*postgis.SQL{
		new(postgis.SQL).Raw("DELETE FROM ").Ident("content", table).Raw(" t USING invalid i WHERE i.fid = t.fid AND (i.geom IS NULL OR ST_IsEmpty(i.geom))"),
		new(postgis.SQL).Raw("UPDATE ").Ident("content", table).Raw(" t SET geom = i.geom FROM invalid i WHERE i.fid = t.fid AND NOT ST_IsEmpty(i.geom)"),
		new(postgis.SQL).Raw("UPDATE ").Ident("content", table).Raw(" SET span = ").Raw(spanSQL).Raw(" WHERE fid IN (SELECT fid FROM invalid)"),
	} {
		if _, err := tx.Exec(ctx, s.String()); err != nil {
			return fmt.Errorf("repair: %w", err)
		}
	}
	return nil
}

// mended is the expression for a repaired geometry of the column's type.
func (l *loader) mended() *postgis.SQL {
	s := new(postgis.SQL)
	if l.plan.z {
		s.Raw("ST_Force3D(")
	} else {
		s.Raw("ST_Force2D(")
	}
	const valid = "ST_MakeValid(geom, 'method=structure keepcollapsed=false')"
	switch d := dimension(l.plan.geometry); {
	case d < 0:
		s.Raw(valid)
	case l.plan.geometry == "Point":
		s.Raw("ST_CollectionExtract(").Raw(valid).Raw(", 1)")
	default:
		s.Raw("ST_Multi(ST_CollectionExtract(").Raw(valid).Raw(", ").Int(int64(d + 1)).Raw("))")
	}
	return s.Raw(")")
}

// reasonZH translates the reasons GEOS gives.
func reasonZH(reason string) string {
	for en, zh := range map[string]string{
		"Self-intersection":                    "自相交",
		"Ring Self-intersection":               "环自相交",
		"Hole lies outside shell":              "内环在外环之外",
		"Holes are nested":                     "内环相互嵌套",
		"Nested shells":                        "外环相互嵌套",
		"Interior is disconnected":             "内部不连通",
		"Duplicate Rings":                      "环重复",
		"Too few points in geometry component": "点数过少",
		"Invalid Coordinate":                   "坐标无效",
		"Ring is not closed":                   "环不闭合",
	} {
		if reason == en {
			return zh
		}
	}
	return reason
}
