package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"

	"changde/ingest"
	"changde/ingest/dropbox"
	"changde/postgis"
	"changde/problem"
	"changde/s3"
	"changde/schemas"
)

type dropboxCommand struct {
	Box   string `arg:"" help:"投递箱：文件夹，或 s3://桶/前缀?endpoint=… / the box: a folder, or s3://bucket/prefix?endpoint=…."`
	Rules string `name:"rules" placeholder:"FILE" help:"各单位的规则（JSON）/ rules of the senders (JSON)."`
}

// Run watches a drop box and receives what senders leave in it, until a signal.
func (c *dropboxCommand) Run(ctx context.Context, s *settings, out *streams) error {
	if s.Database == "" || s.Depot == "" {
		return problem.New(problem.Invalid, "dropbox-settings", "DATABASE_URL, --depot",
			"dropbox 需要 DATABASE_URL 与 --depot", "dropbox needs DATABASE_URL and --depot")
	}
	log := s.logger(out)
	rules, err := readRules(c.Rules)
	if err != nil {
		return err
	}
	box, done, err := openBox(c.Box, log)
	if err != nil {
		return err
	}
	defer done()
	if err := schemas.Migrate(ctx, s.Database); err != nil {
		return err
	}
	pool, err := postgis.Open(ctx, postgis.Config{URL: s.Database, MaxConns: 4, ApplicationName: "changde dropbox"})
	if err != nil {
		return err
	}
	defer pool.Close()
	config, err := s.ingestConfig(pool, s.Depot, log)
	if err != nil {
		return err
	}
	i := ingest.New(pool, config)
	fmt.Fprintf(out.out, "正在看守投递箱 / watching %s\n", boxName(c.Box))
	return dropbox.Watch(ctx, box, rules, func(ctx context.Context, p dropbox.Parcel) (int64, error) {
		return receiveParcel(ctx, i, p)
	}, dropbox.Config{Log: log})
}

// receiveParcel makes a delivery of a parcel. The folder it was left in says who
// sent it.
func receiveParcel(ctx context.Context, i *ingest.Ingester, p dropbox.Parcel) (int64, error) {
	r := ingest.Request{Sender: p.Sender}
	if rule := p.Rule; rule != nil {
		r.Dataset, r.Encoding, r.Policy = rule.Dataset, rule.Encoding, ingest.Policy(rule.Invalid)
		r.Settings.Profile = rule.Profile
		if rule.Layer != "" {
			r.Layers = []string{rule.Layer}
		}
		if code, err := strconv.Atoi(strings.TrimPrefix(strings.ToUpper(rule.CRS), "EPSG:")); err == nil {
			r.EPSG = code
		} else {
			r.CRS = rule.CRS
		}
	}
	return i.ReceiveFiles(ctx, r, p.Paths, p.ID, ingest.Decider{Actor: "dropbox:" + p.Sender, Organisation: p.Sender, Contributor: true})
}

func readRules(path string) ([]dropbox.Rule, error) {
	if path == "" {
		return nil, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, problem.Wrap(err, problem.Invalid, "rules-unreadable", path, "规则文件不可读", "the rules cannot be read")
	}
	return dropbox.ParseRules(data, path)
}

// boxName is the box without what may be secret in its address.
func boxName(box string) string {
	name, _, _ := strings.Cut(box, "?")
	return name
}

func openBox(box string, log *slog.Logger) (dropbox.Box, func(), error) {
	config := dropbox.Config{Log: log}
	if !strings.HasPrefix(box, "s3://") {
		folder, err := dropbox.OpenFolder(box, config)
		if err != nil {
			return nil, nil, err
		}
		return folder, func() { _ = folder.Close() }, nil
	}
	bucket, err := s3.Connect(box, s3.Config{Credentials: credentials()})
	if err != nil {
		return nil, nil, err
	}
	return dropbox.NewS3(bucket, config), func() {}, nil
}
