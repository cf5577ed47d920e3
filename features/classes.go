package features

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"changde/catalog"
)

// Classes finds the values of the class columns of several datasets as they were
// counted when their current releases were made, those of most rows first, at most
// most of each. Changes made since are not among them, and a dataset of which
// nothing was counted is not in the result.
func (s *Store) Classes(ctx context.Context, datasets []*catalog.Dataset, most int) (map[string][]string, error) {
	out := map[string][]string{}
	if len(datasets) == 0 {
		return out, nil
	}
	ids, numbers, columns := make([]string, len(datasets)), make([]int, len(datasets)), make([]string, len(datasets))
	for i, d := range datasets {
		ids[i], numbers[i], columns[i] = d.ID, d.Current.Number, d.Class
	}
	rows, err := s.pool.Query(ctx, `
		SELECT asked.dataset, counted.class
		FROM unnest($1::text[], $2::int[], $3::text[]) AS asked (dataset, release, class_column)
		JOIN changde.releases r ON r.dataset = asked.dataset AND r.release = asked.release AND r.statistics->>'column' = asked.class_column
		CROSS JOIN LATERAL (
			SELECT c->>'class' AS class, n
			FROM jsonb_array_elements(CASE jsonb_typeof(r.statistics->'classes') WHEN 'array' THEN r.statistics->'classes' ELSE '[]' END) WITH ORDINALITY AS e (c, n)
			WHERE c->>'class' NOT IN ('', $5)
			ORDER BY n LIMIT $4) AS counted
		ORDER BY asked.dataset, counted.n`, ids, numbers, columns, most, foldedClass)
	if err != nil {
		return nil, fmt.Errorf("read classes: %w", err)
	}
	var id, class string
	if _, err := pgx.ForEachRow(rows, []any{&id, &class}, func() error {
		out[id] = append(out[id], class)
		return nil
	}); err != nil {
		return nil, fmt.Errorf("read classes: %w", err)
	}
	return out, nil
}

// foldedClass is what a release calls the classes that it counted together.
const foldedClass = "…"
