package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/url"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jedib0t/go-pretty/v6/table"

	"changde/access"
	"changde/problem"
)

type webhookCommand struct {
	Add    webhookAddCommand    `cmd:"" help:"登记版本发布的回调，签名密钥只显示一次 / register a callback for releases; its key is shown once."`
	List   webhookListCommand   `cmd:"" help:"列出回调 / list the callbacks."`
	Remove webhookRemoveCommand `cmd:"" help:"删除回调 / remove a callback."`
}

type webhookAddCommand struct {
	URL          string `arg:"" help:"回调地址（http 或 https）/ address to call."`
	Organisation string `name:"organisation" help:"订阅单位；决定能得知哪些数据集 / the subscriber, whose rights decide which datasets it hears of."`
	Dataset      string `name:"dataset" help:"只订阅一个数据集 / only this dataset."`
}

const maxWebhooks = 1000

// Run registers a callback and prints its key alone on standard output.
func (c *webhookAddCommand) Run(ctx context.Context, s *settings, out *streams) error {
	u, err := url.Parse(c.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || len(c.URL) > 2000 {
		return problem.New(problem.Invalid, "webhook-url", c.URL, "应为 http 或 https 地址，不含用户名口令", "must be an http or https address without user and password")
	}
	pool, done, err := s.database(ctx, s.logger(out))
	if err != nil {
		return err
	}
	defer done()
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	var id int64
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		var known bool
		var n int
		err := tx.QueryRow(ctx, `SELECT ($1 = '' OR EXISTS (SELECT FROM changde.organisations WHERE id = $1)) AND ($2 = '' OR EXISTS (SELECT FROM changde.datasets WHERE id = $2)),
			(SELECT count(*) FROM changde.webhooks)`, c.Organisation, c.Dataset).Scan(&known, &n)
		switch {
		case err != nil:
			return err
		case !known:
			return problem.New(problem.Invalid, "subscriber-unknown", c.Organisation+" "+c.Dataset, "单位未登记，或没有这个数据集", "the organisation is not registered, or there is no such dataset")
		case n >= maxWebhooks:
			return problem.New(problem.Conflict, "webhooks-too-many", "", fmt.Sprintf("最多 %d 个回调", maxWebhooks), fmt.Sprintf("at most %d callbacks", maxWebhooks))
		}
		if err := tx.QueryRow(ctx, `INSERT INTO changde.webhooks (organisation, dataset, url) VALUES (nullif($1, ''), nullif($2, ''), $3) RETURNING id`,
			c.Organisation, c.Dataset, c.URL).Scan(&id); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO secret.webhooks (webhook, key) VALUES ($1, $2)`, id, key); err != nil {
			return err
		}
		return access.Act{Actor: console(), Action: "webhook-add", Object: fmt.Sprintf("webhook:%d", id), Detail: map[string]any{"organisation": c.Organisation, "dataset": c.Dataset}}.Record(ctx, tx)
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(out.err, "回调 %d 的签名密钥只显示这一次 / the key of callback %d is shown this once\n", id, id)
	fmt.Fprintln(out.out, hex.EncodeToString(key))
	return nil
}

type webhookListCommand struct{}

// Run lists the callbacks without their keys.
func (c *webhookListCommand) Run(ctx context.Context, s *settings, out *streams) error {
	pool, done, err := s.database(ctx, s.logger(out))
	if err != nil {
		return err
	}
	defer done()
	rows, err := pool.Query(ctx, `SELECT id, url, coalesce(organisation, ''), coalesce(dataset, ''), created_at FROM changde.webhooks ORDER BY id LIMIT $1`, maxWebhooks)
	if err != nil {
		return err
	}
	t := newTable(out.out)
	t.AppendHeader(table.Row{"回调 webhook", "地址 url", "单位 organisation", "数据集 dataset", "登记 created"})
	var id int64
	var address, organisation, dataset string
	var created time.Time
	if _, err := pgx.ForEachRow(rows, []any{&id, &address, &organisation, &dataset, &created}, func() error {
		t.AppendRow(table.Row{id, address, organisation, dataset, created.Local().Format(time.DateTime)})
		return nil
	}); err != nil {
		return err
	}
	t.Render()
	return nil
}

type webhookRemoveCommand struct {
	ID int64 `arg:"" help:"回调编号 / number."`
}

// Run removes a callback; calls that wait for it are dropped.
func (c *webhookRemoveCommand) Run(ctx context.Context, s *settings, out *streams) error {
	pool, done, err := s.database(ctx, s.logger(out))
	if err != nil {
		return err
	}
	defer done()
	tag, err := pool.Exec(ctx, "DELETE FROM changde.webhooks WHERE id = $1", c.ID)
	if err != nil {
		return err
	}
	if tag.RowsAffected() == 0 {
		return problem.New(problem.NotFound, "webhook-unknown", fmt.Sprint(c.ID), "没有这个回调", "there is no such callback")
	}
	fmt.Fprintf(out.out, "回调 %d 已删除 / removed\n", c.ID)
	return nil
}
