package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/user"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"changde/catalog"
	sample "changde/examples/changde"
	"changde/ingest"
	"changde/postgis"
	"changde/problem"
	"changde/schemas"
)

// settings are the flags every command has. Flags come first, then the
// environment.
type settings struct {
	Database string `name:"database" env:"DATABASE_URL" placeholder:"URL" help:"PostgreSQL 连接；未给时用数据目录中的私有 PostGIS / connection; the private PostGIS of the data folder without it."`
	Data     string `name:"data" env:"CHANGDE_DATA" placeholder:"DIR" help:"数据目录，默认 ./.changde；root 且该处 PostgreSQL 用户进不去时为 /var/lib/changde / data folder, ./.changde by default, /var/lib/changde for root where PostgreSQL's user cannot enter."`
	City     string `name:"city" env:"CHANGDE_CITY" placeholder:"FILE" help:"城市配置 JSON，默认常德 / the city's configuration, Changde by default."`
	Depot    string `name:"depot" env:"CHANGDE_DEPOT" placeholder:"DIR|s3://…" help:"交付文件存放处，服务与工作进程共用 / store of delivered files, shared by server and workers."`
	Tiles    string `name:"tiles" env:"CHANGDE_TILES" placeholder:"DIR|s3://…" help:"瓦片档案存放处，服务与工作进程共用；不给则瓦片随请求生成 / place of cut tiles, shared by server and workers; without it tiles are made when asked for."`
	Profiles string `name:"profiles" env:"CHANGDE_PROFILES" placeholder:"DIR" help:"本市的图层标准文件夹，覆盖内置标准 / folder of the city's own layer standards."`
	Keep     int    `name:"keep" env:"CHANGDE_KEEP" default:"0" help:"每个数据集保留的内容份数，0 为全部 / contents kept of each dataset, 0 for all."`
	Log      string `name:"log" env:"CHANGDE_LOG" default:"info" enum:"debug,info,warn,error" help:"日志级别 / log level: ${enum}."`
}

func (s *settings) logger(out *streams) *slog.Logger {
	var level slog.Level
	// The enum admits only names that slog knows.
	_ = level.UnmarshalText([]byte(s.Log))
	options := &slog.HandlerOptions{Level: level}
	if isTerminal(out.err) {
		return slog.New(slog.NewTextHandler(out.err, options))
	}
	return slog.New(slog.NewJSONHandler(out.err, options))
}

// dataFolder is where the private cluster lives. Started as root, PostgreSQL runs
// under another uid, which may not reach a checkout below /root: then the place
// services use.
func (s *settings) dataFolder() (string, error) {
	if s.Data != "" {
		return filepath.Abs(s.Data)
	}
	dir, err := filepath.Abs(".changde")
	if err != nil {
		return "", err
	}
	if os.Geteuid() == 0 {
		for parent := filepath.Dir(dir); ; parent = filepath.Dir(parent) {
			info, err := os.Stat(parent)
			if err != nil || info.Mode().Perm()&0o001 == 0 {
				return "/var/lib/changde", nil
			}
			if parent == filepath.Dir(parent) {
				break
			}
		}
	}
	return dir, nil
}

// decider is the person at the console, who operates the platform.
func (s *settings) decider(document, note string) ingest.Decider {
	return ingest.Decider{Actor: console(), Document: document, Note: note, Admin: true}
}

// console names the person at the console.
func console() string {
	if u, err := user.Current(); err == nil {
		return "console:" + u.Username
	}
	return "console"
}

func (s *settings) city() (catalog.City, error) {
	if s.City == "" {
		return sample.City()
	}
	data, err := os.ReadFile(s.City)
	if err != nil {
		return catalog.City{}, problem.Wrap(err, problem.Invalid, "city-unreadable", s.City, "城市配置文件不可读", "the city's configuration cannot be read")
	}
	return catalog.ParseCity(data)
}

// database finds the database of a command that is not a server: DATABASE_URL,
// the private cluster that is running, or the private cluster started for the
// time of the command. The schema is brought up to date. close gives everything
// back.
func (s *settings) database(ctx context.Context, log *slog.Logger) (pool *pgxpool.Pool, close func(), err error) {
	url, stop := s.Database, func() {}
	if url == "" {
		dir, err := s.dataFolder()
		if err != nil {
			return nil, nil, err
		}
		cluster, err := postgis.AttachCluster(ctx, dir)
		if errors.Is(err, postgis.ErrNotRunning) {
			cluster, err = postgis.StartCluster(ctx, postgis.ClusterConfig{Dir: dir, Durable: true, Log: log})
		}
		if err != nil {
			return nil, nil, err
		}
		url = cluster.URL()
		if cluster.Owned() {
			stop = func() { stopCluster(cluster, log) }
		}
	}
	if err := schemas.Migrate(ctx, url); err != nil {
		stop()
		return nil, nil, err
	}
	pool, err = postgis.Open(ctx, postgis.Config{URL: url, ApplicationName: "changde"})
	if err != nil {
		stop()
		return nil, nil, err
	}
	return pool, func() { pool.Close(); stop() }, nil
}

// stopCluster waits for an orderly end; the context of the command may be over.
func stopCluster(cluster *postgis.Cluster, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := cluster.Stop(ctx); err != nil {
		log.Error("private PostGIS not stopped", "err", err)
	}
}

var errUnagreed = fmt.Errorf("the plan is not accepted")
