package ingest

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

func (i *Ingester) inspectQuality(ctx context.Context, tx pgx.Tx, l *loader, table string) ([]RuleResult, error) {
	return nil, nil
}

func (i *Ingester) cancel(ctx context.Context, conn *pgxpool.Conn, id int64) error { return nil }

func (i *Ingester) again(ctx context.Context, conn *pgxpool.Conn, id int64, progress func(Progress)) error {
	return nil
}
