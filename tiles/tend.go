package tiles

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"changde/catalog"
	"changde/postgis"
)

// The keeper of archives looks at the datasets every tendEvery. A content whose
// archive is behind is cut again once the cut is worth it: when it has taken less
// than a part of the time since the one before.
const (
	tendEvery = 3 * time.Second
	tendShare = 20
)

// archiveLock is the first key of the advisory lock under which a content is cut.
const archiveLock = 0x43445449

// Tend keeps the archives until ctx ends: contents without one are cut, those that
// were changed are cut again, and archives of contents that are gone are removed.
// Several processes may tend one folder.
func (s *Archives) Tend(ctx context.Context) error {
	known, err := catalog.Open(ctx, s.pool, catalog.Config{Log: s.log})
	if err != nil {
		return err
	}
	watching, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		if err := known.Watch(watching); err != nil && watching.Err() == nil {
			s.log.Error("catalog is not watched", "err", err)
		}
	}()
	rest := make(map[string]time.Time) // until when a content is left alone
	for {
		for _, d := range known.Snapshot().For(everybody{}).Datasets() {
			if ctx.Err() != nil {
				return nil
			}
			if d.Current.Versioned() && time.Now().After(rest[d.Current.Relation[1]]) {
				took, err := s.bring(ctx, d)
				if err != nil && ctx.Err() == nil {
					s.log.Error("tiles not cut; they are made when asked for", "dataset", d.ID, "err", err)
					took = time.Minute / tendShare
				}
				rest[d.Current.Relation[1]] = time.Now().Add(tendShare * took)
			}
		}
		if err := s.clear(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("archives of contents that are gone not removed", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(tendEvery):
		}
	}
}

// everybody reads all datasets.
type everybody struct{}

// MayRead implements catalog.Reader.
func (everybody) MayRead(string, string) bool { return true }

// bring cuts the current content of a dataset in those grids whose archives are
// behind.
func (s *Archives) bring(ctx context.Context, d *catalog.Dataset) (took time.Duration, err error) {
	start := time.Now()
	for _, grid := range gridsOf(d) {
		n := archiveName{content: d.Current.Relation[1], grid: grid, revision: d.Current.Revision}
		behind, err := s.behind(ctx, d, grid)
		if err != nil {
			return 0, err
		}
		if !behind {
			continue
		}
		if mine, err := s.alone(ctx, n.content, func() error { return s.build(ctx, d, d.Current, n) }); !mine || err != nil {
			return 0, err
		}
		if err := s.prune(ctx, n); err != nil {
			return 0, err
		}
		took = time.Since(start)
	}
	return took, s.drop(ctx, d)
}

// alone calls fn unless another process is cutting the content.
func (s *Archives) alone(ctx context.Context, content string, fn func() error) (mine bool, err error) {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return false, err
	}
	defer conn.Release()
	if err := conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1::int, hashtext($2))", archiveLock, content).Scan(&mine); err != nil || !mine {
		return false, err
	}
	defer func() {
		release, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		// A broken connection has lost its lock already.
		_, _ = conn.Exec(release, "SELECT pg_advisory_unlock($1::int, hashtext($2))", archiveLock, content)
	}()
	return true, fn()
}

// behind reports whether no archive of a grid shows the dataset as it is.
func (s *Archives) behind(ctx context.Context, d *catalog.Dataset, grid string) (bool, error) {
	r := d.Current
	archives, err := s.of(ctx, d, r)
	if err != nil {
		return false, err
	}
	if err := s.content(r.Relation[1]).unreached(); err != nil {
		return false, err
	}
	a := serving(archives, d, r, grid, 0)
	if a == nil || a.base == r.Revision {
		return a == nil, nil
	}
	var changed bool
	q := new(postgis.SQL).Raw("SELECT EXISTS (SELECT FROM ").Ident(r.Relation[0], r.Relation[1]+catalog.ChangesSuffix).
		Raw(" WHERE rev > ").Arg(a.base).Raw("::bigint AND rev <= ").Arg(r.Revision).Raw("::bigint)")
	if err := s.pool.QueryRow(ctx, q.String(), q.Args()...).Scan(&changed); err != nil {
		return false, fmt.Errorf("ask for changes of %s: %w", d.ID, err)
	}
	return changed, nil
}

// prune removes the archives of a content and grid between the first, which older
// releases are read from, and one.
func (s *Archives) prune(ctx context.Context, n archiveName) error {
	return s.removeIf(ctx, n.content, func(o archiveName) bool { return o.grid == n.grid && o.revision != 0 && o.revision < n.revision })
}

// drop removes the archives of grids that a dataset does not ask for any more.
func (s *Archives) drop(ctx context.Context, d *catalog.Dataset) error {
	grids := gridsOf(d)
	return s.removeIf(ctx, d.Current.Relation[1], func(o archiveName) bool { return !slices.Contains(grids, o.grid) })
}

func (s *Archives) removeIf(ctx context.Context, content string, gone func(archiveName) bool) error {
	for _, f := range s.listed(ctx).files[content] {
		if gone(f.archiveName) {
			if err := s.remove(ctx, f.archiveName); err != nil {
				return err
			}
		}
	}
	return nil
}

// sweepEvery is how often what processes that died had begun is looked for.
const sweepEvery = 10 * time.Minute

func (s *Archives) sweep(ctx context.Context) error {
	if time.Since(s.swept) < sweepEvery {
		return nil
	}
	s.swept = time.Now()
	if err := s.shelf.Sweep(ctx, archiveSuffix, coversSuffix); err != nil {
		return fmt.Errorf("remove begun archives: %w", err)
	}
	return nil
}

// clear removes the archives of contents that are no release's and no open
// delivery's, and what was begun.
func (s *Archives) clear(ctx context.Context) error {
	return errors.Join(s.sweep(ctx), s.clearContents(ctx))
}

func (s *Archives) clearContents(ctx context.Context) error {
	files := s.listed(ctx).files
	if len(files) == 0 {
		return nil
	}
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	list, err := json.Marshal(names)
	if err != nil {
		return fmt.Errorf("list contents: %w", err)
	}
	rows, err := s.pool.Query(ctx, `SELECT name FROM jsonb_array_elements_text($1::jsonb) name
		WHERE NOT EXISTS (SELECT FROM changde.releases WHERE relation = 'content.' || name)
		AND NOT EXISTS (SELECT FROM changde.deliveries WHERE relation = name AND state IN ('loading', 'checked', 'awaiting'))`, string(list))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return err
		}
		for _, n := range files[name] {
			if err := s.remove(ctx, n.archiveName); err != nil {
				return err
			}
		}
	}
	return rows.Err()
}
