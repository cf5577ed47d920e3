package features

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"changde/catalog"
	"changde/ingest/layer"
	"changde/postgis"
	"changde/problem"
)

// The bounds of versions.
const (
	maxVersions = 1000  // of one feature
	maxChanges  = 10000 // of one page of the feed
)

// Mark is a place in the feed of changes: after the change of that feature in
// that revision. A Mark with FID -1 stands before the first change of the revision
// that follows; see After.
type Mark struct {
	Revision int64
	FID      int64
}

// After is the place after all changes of a revision.
func After(revision int64) Mark { return Mark{Revision: revision + 1, FID: -1} }

// floor is the earliest release from which on the caller may follow every change:
// all releases since are in the dataset as the caller sees it, and of one content.
func floor(d *catalog.Dataset) *catalog.Release {
	first := d.Current
	for i := len(d.Releases) - 1; i >= 0; i-- {
		r := d.Releases[i]
		if r.Number > first.Number {
			continue
		}
		if r.Number < first.Number-1 || r.Relation != d.Current.Relation {
			break
		}
		first = r
	}
	return first
}

// Changes appends the changes of the dataset's rows after a place, in the order of
// revision and fid, as JSON objects with a comma between them:
//
//	{"revision":7,"op":"insert|update|delete","fid":12,"feature":{…}|null}
//
// A feature stands as it is after the change; of one that was deleted it is null.
// next is the place after the last, and more tells that there are more changes.
// A place before the current content, or before a state that the caller may not
// see, is problem.Conflict: read the items and follow from their revision.
func (s *Store) Changes(ctx context.Context, d *catalog.Dataset, since Mark, limit int, dst []byte) (out []byte, next Mark, more bool, err error) {
	r := d.Current
	if !r.Versioned() {
		return dst, since, false, problem.New(problem.Unsupported, "changes-unknown", d.ID, "该数据集不记录逐条变化", "changes of this dataset are not recorded one by one")
	}
	revisions, err := s.revisions(ctx, d)
	if err != nil {
		return dst, since, false, postgis.Fault(ctx, err, "read changes of "+d.ID)
	}
	var hidden int64
	for _, rev := range revisions {
		if !d.MayRead(rev.sharing) {
			hidden = rev.number
		}
	}
	if first := floor(d); since.Revision <= max(first.Revision, hidden) {
		return dst, since, false, problem.New(problem.Conflict, "changes-reset", "since",
			fmt.Sprintf("修订号 %d 之前的变化已不能逐条给出；请重新读取全部要素（/collections/%s/items），再从 since=%d 起跟踪", first.Revision, d.ID, r.Revision),
			fmt.Sprintf("changes before revision %d cannot be given one by one; read all items again (/collections/%s/items) and follow from since=%d", first.Revision, d.ID, r.Revision))
	}
	limit = min(max(limit, 1), maxChanges)
	props := properties(r.Columns)
	q := selectFeatures(r.Columns)
	q.Raw(`, "change at", "change op" FROM (SELECT c.rev AS "change at", c.fid, v.geom`)
	for _, column := range r.Columns {
		q.Raw(", v.").Ident(column.Name)
	}
	q.Raw(`, CASE WHEN v.fid IS NULL THEN 2 WHEN EXISTS (SELECT FROM `).Ident(r.Relation[0], r.Relation[1]+catalog.HistorySuffix).
		Raw(` h WHERE h.fid = c.fid AND h.until = c.rev) THEN 1 ELSE 0 END AS "change op" FROM `).
		Ident(r.Relation[0], r.Relation[1]+catalog.ChangesSuffix).Raw(" c LEFT JOIN (")
	r.AppendVersions(q).Raw(") v ON v.fid = c.fid AND v.rev = c.rev WHERE (c.rev, c.fid) > (").Arg(since.Revision).Raw("::bigint, ").Arg(since.FID).
		Raw("::bigint) AND c.rev <= ").Int(r.Revision).Raw(` ORDER BY c.rev, c.fid LIMIT `).Arg(int64(limit) + 1).Raw(`) changes ORDER BY "change at", fid`)
	rows, err := s.pool.Query(ctx, q.String(), append([]any{pgx.QueryExecModeCacheDescribe, formats(props, 2)}, q.Args()...)...)
	if err != nil {
		return dst, since, false, postgis.Fault(ctx, err, "read changes of "+d.ID)
	}
	defer rows.Close()
	w := featureWriter{props: props, decimals: s.config.Decimals, box: emptyBox()}
	from, n := len(dst), 0
	for rows.Next() {
		if n == limit || n > 0 && len(dst)-from >= s.config.MaxBytes {
			more = true
			break
		}
		raw := rows.RawValues()
		at, op := int64From(raw[len(raw)-2]), raw[len(raw)-1][3]
		if n > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"revision":`...)
		dst = strconv.AppendInt(dst, at, 10)
		dst = append(dst, `,"op":"`...)
		dst = append(dst, [...]string{"insert", "update", "delete"}[op]...)
		dst = append(dst, `","fid":`...)
		fid := int64From(raw[0])
		dst = strconv.AppendInt(dst, fid, 10)
		dst = append(dst, `,"feature":`...)
		if op == 2 {
			dst = append(dst, "null"...)
		} else if dst, _, err = w.append(dst, raw[:len(raw)-2]); err != nil {
			return dst, since, false, postgis.Fault(ctx, err, "read changes of "+d.ID)
		}
		dst = append(dst, '}')
		next = Mark{at, fid}
		n++
	}
	rows.Close()
	if err := rows.Err(); err != nil && !more {
		return dst, since, false, postgis.Fault(ctx, err, "read changes of "+d.ID)
	}
	if !more {
		next = After(r.Revision)
	}
	return dst, next, more, nil
}

func int64From(b []byte) int64 {
	var n int64
	for _, c := range b {
		n = n<<8 | int64(c)
	}
	return n
}

// Version is one state of a feature.
type Version struct {
	Release  int        // in which it came, or the release before an edit that made it
	Revision int64      // from which on it was current
	Until    *int64     // the revision that superseded it; nil while it is current
	Kind     string     // of the revision: release, rollback, edit
	From     time.Time  // when it became current
	To       *time.Time // when it was superseded
	// Who let it in, and by which document. Actor names a key.
	Actor, Organisation, Document, Note string
	FID                                 int64
	Feature                             []byte // GeoJSON Feature
}

// History reads the versions of a feature, oldest first, the last 1,000 at most:
// those of the current content by its fid, and where the dataset has a business key
// those of other contents by the key. A row that was current, gave way to another
// content and came back by a rollback is a version each time. Versions that were
// current only while the dataset was shared more narrowly than the caller may read
// are left out. No version is problem.NotFound.
func (s *Store) History(ctx context.Context, d *catalog.Dataset, fid int64) ([]Version, error) {
	if !d.Current.Versioned() {
		return nil, problem.New(problem.Unsupported, "history-unknown", d.ID, "该数据集不记录要素的历史", "the history of this dataset's features is not recorded")
	}
	revisions, err := s.revisions(ctx, d)
	if err != nil {
		return nil, postgis.Fault(ctx, err, "read history of "+d.ID)
	}
	out, key, err := s.versions(ctx, d, d.Current, new(postgis.SQL).Raw("fid = ").Arg(fid), revisions)
	if err != nil {
		return nil, postgis.Fault(ctx, err, "read history of "+d.ID)
	}
	seen := map[[2]string]bool{d.Current.Relation: true}
	for i := len(d.Releases) - 1; i >= 0 && key != ""; i-- {
		r := d.Releases[i]
		c, ok := r.Column(d.BusinessKey)
		if seen[r.Relation] || !ok {
			continue
		}
		seen[r.Relation] = true
		condition := new(postgis.SQL)
		if c.Type == layer.Text {
			condition.Ident(c.Name).Raw(" = ").Arg(key).Raw("::text")
		} else {
			condition.Ident(c.Name).Raw("::text = ").Arg(key).Raw("::text")
		}
		others, _, err := s.versions(ctx, d, r, condition, revisions)
		if err != nil {
			return nil, postgis.Fault(ctx, err, "read history of "+d.ID)
		}
		out = append(out, others...)
	}
	if len(out) == 0 {
		return nil, absent(d.ID, strconv.FormatInt(fid, 10))
	}
	slices.SortStableFunc(out, func(a, b Version) int { return cmp.Compare(a.Revision, b.Revision) })
	return out[max(len(out)-maxVersions, 0):], nil
}

// revision is what is recorded of one.
type revision struct {
	number                              int64
	release                             int // in effect
	kind                                string
	relation                            string // content in effect from then on
	sharing                             catalog.Sharing
	actor, organisation, document, note string
	at                                  time.Time
}

// record is the dataset's revisions that changed rows, in order.
type record []revision

// of returns a revision by its number.
func (r record) of(number int64) (revision, bool) {
	at, ok := slices.BinarySearchFunc(r, number, func(v revision, n int64) int { return cmp.Compare(v.number, n) })
	if !ok {
		return revision{}, false
	}
	return r[at], true
}

// period is a stretch of revisions in which one content was in effect; until is
// Forever for the present one.
type period struct{ from, until int64 }

// periods are those of a content.
func (r record) periods(relation string) []period {
	var out []period
	for n, v := range r {
		if v.relation != relation {
			continue
		}
		until := int64(catalog.Forever)
		if n+1 < len(r) {
			until = r[n+1].number
		}
		if last := len(out) - 1; last >= 0 && out[last].until == v.number {
			out[last].until = until
			continue
		}
		out = append(out, period{v.number, until})
	}
	return out
}

func (s *Store) revisions(ctx context.Context, d *catalog.Dataset) (record, error) {
	rows, err := s.pool.Query(ctx, `SELECT revision, coalesce(max(release) OVER (ORDER BY revision), 0), kind, coalesce(relation, ''), sharing, actor, organisation, document, note, committed_at
		FROM changde.revisions WHERE dataset = $1 AND kind <> 'settings' ORDER BY revision`, d.ID)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (r revision, err error) {
		err = row.Scan(&r.number, &r.release, &r.kind, &r.relation, &r.sharing, &r.actor, &r.organisation, &r.document, &r.note, &r.at)
		return r, err
	})
}

// versions reads the versions in one content; key is the feature's business key.
func (s *Store) versions(ctx context.Context, d *catalog.Dataset, r *catalog.Release, condition *postgis.SQL, revisions record) (out []Version, key string, err error) {
	props := properties(r.Columns)
	q := selectFeatures(r.Columns)
	q.Raw(", rev, until, ")
	textColumn(q, r, d.BusinessKey)
	q.Raw(" FROM (")
	r.AppendVersions(q).Raw(") v WHERE ").Add(condition).Raw(" ORDER BY rev DESC LIMIT ").Int(maxVersions)
	rows, err := s.pool.Query(ctx, q.String(), append([]any{pgx.QueryExecModeCacheDescribe, formats(props, 3)}, q.Args()...)...)
	if err != nil {
		return nil, "", err
	}
	defer rows.Close()
	periods := revisions.periods(r.Relation[0] + "." + r.Relation[1])
	size := 0
	for rows.Next() && size < s.config.MaxBytes {
		raw := rows.RawValues()
		n := len(raw)
		from, until := int64From(raw[n-3]), int64From(raw[n-2])
		if key == "" {
			key = string(raw[n-1])
		}
		var feature []byte
		for _, p := range periods {
			v := Version{FID: int64From(raw[0]), Revision: max(from, p.from)}
			end := min(until, p.until)
			if v.Revision >= end || !revisions.shown(d, v.Revision, end) {
				continue
			}
			if feature == nil {
				w := featureWriter{props: props, decimals: s.config.Decimals, box: emptyBox()}
				if feature, _, err = w.append(nil, raw[:n-3]); err != nil {
					return nil, "", err
				}
				size += len(feature)
			}
			v.Feature = feature
			if rev, ok := revisions.of(v.Revision); ok {
				v.Release, v.Kind, v.From = rev.release, rev.kind, rev.at
				if d.MayRead(rev.sharing) {
					v.Actor, v.Organisation, v.Document, v.Note = rev.actor, rev.organisation, rev.document, rev.note
				}
			}
			if end != catalog.Forever {
				v.Until = &end
				if rev, ok := revisions.of(end); ok {
					v.To = &rev.at
				}
			}
			out = append(out, v)
		}
	}
	return out, key, rows.Err()
}

// shown reports whether a version was current, in the revisions [from, until), while
// the dataset was shared so that the caller may read it.
func (r record) shown(d *catalog.Dataset, from, until int64) bool {
	at, _ := slices.BinarySearchFunc(r, from, func(v revision, n int64) int { return cmp.Compare(v.number, n) })
	for ; at < len(r) && r[at].number < until; at++ {
		if d.MayRead(r[at].sharing) {
			return true
		}
	}
	return false
}
