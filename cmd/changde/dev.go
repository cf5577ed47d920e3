package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"changde/ingest"
	"changde/postgis"
	"changde/schemas"
)

type devCommand struct {
	serveFlags
	Scale  float64 `name:"scale" default:"0.03" help:"示例城市规模，1 为全市约 200 万图斑 / scale of the sample city; 1 is about 2,000,000 parcels."`
	Sample bool    `name:"sample" default:"true" negatable:"" help:"数据库为空且未指定 --city 时载入示例城市 / load the sample city into an empty database, unless --city names another."`
}

// Run starts the private cluster (or uses DATABASE_URL), loads the sample city
// into an empty database and serves. What it started it stops, in reverse order.
func (c *devCommand) Run(ctx context.Context, s *settings, out *streams) error {
	log := s.logger(out)
	listener, err := listen(c.Listen)
	if err != nil {
		return err
	}
	defer listener.Close()
	dir, err := s.dataFolder()
	if err != nil {
		return err
	}
	url := s.Database
	if url == "" {
		fmt.Fprintf(out.out, "数据目录 / data folder: %s\n", dir)
		cluster, err := postgis.StartCluster(ctx, postgis.ClusterConfig{Dir: dir, Durable: true, Log: log})
		if err != nil {
			return err
		}
		defer stopCluster(cluster, log)
		url = cluster.URL()
		var gone context.CancelCauseFunc
		ctx, gone = context.WithCancelCause(ctx)
		defer gone(nil)
		go func() {
			select {
			case <-ctx.Done():
			case <-cluster.Done():
				gone(errClusterGone)
			}
		}()
	}
	if err := schemas.Migrate(ctx, url); err != nil {
		return err
	}
	if err := sweep(ctx, s, url, log); err != nil {
		log.Warn("leftovers of dead deliveries not removed", "err", err)
	}
	if c.Sample && s.City == "" {
		if err := loadWhenEmpty(ctx, s, url, filepath.Join(dir, "sample"), c.Scale, log, out); err != nil {
			return err
		}
	}
	if keys := keyFile(filepath.Join(dir, "sample")); exists(keys) {
		fmt.Fprintf(out.out, "示例单位密钥 / keys of the sample organisations: %s\n", keys)
	}
	if s.Depot == "" {
		s.Depot = depotFolder(dir)
	}
	if s.Tiles == "" {
		s.Tiles = filepath.Join(dir, "tiles")
	}
	if c.Workers == 0 {
		c.Workers = 2
	}
	if err := serve(ctx, s, c.serveFlags, url, listener, log, out); err != nil {
		return err
	}
	if errors.Is(context.Cause(ctx), errClusterGone) {
		return errClusterGone
	}
	return nil
}

// sweep cleans up after deliveries whose process died while nobody was here.
func sweep(ctx context.Context, s *settings, url string, log *slog.Logger) error {
	pool, err := postgis.Open(ctx, postgis.Config{URL: url, MaxConns: 2, ApplicationName: "changde sweep"})
	if err != nil {
		return err
	}
	defer pool.Close()
	config, err := s.ingestConfig(pool, "", log)
	if err != nil {
		return err
	}
	return ingest.New(pool, config).Sweep(ctx)
}

var errClusterGone = errors.New("私有 PostGIS 意外停止，日志在数据目录的 log 中；重新启动即可恢复 / the private PostGIS has ended, its log is in the data folder; starting again recovers")

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
