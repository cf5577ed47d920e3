package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"sync"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"changde/ingest"
	"changde/ingest/depot"
	"changde/ingest/gdal"
	"changde/ingest/jobs"
	"changde/ingest/profile"
	"changde/postgis"
	"changde/problem"
	"changde/s3"
	"changde/schemas"
	"changde/tiles"
	"changde/tiles/shelf"
)

type workerCommand struct {
	Workers int `name:"workers" env:"CHANGDE_WORKERS" default:"2" help:"同时处理的作业数 / jobs at once."`
}

// Run works on deliveries and decisions until a signal. Any number of workers on
// any machines may run beside one another.
func (c *workerCommand) Run(ctx context.Context, s *settings, out *streams) error {
	if s.Database == "" || s.Depot == "" {
		return problem.New(problem.Invalid, "worker-settings", "DATABASE_URL, --depot",
			"worker 需要 DATABASE_URL 与 --depot（与服务共用的交付文件存放处）", "a worker needs DATABASE_URL and --depot, the store of delivered files that it shares with the server")
	}
	if err := schemas.Migrate(ctx, s.Database); err != nil {
		return err
	}
	fmt.Fprintf(out.out, "入库工作进程已就绪：%d 个 / workers ready: %d\n", c.Workers, c.Workers)
	return s.work(ctx, s.Database, s.Depot, c.Workers, s.logger(out))
}

// work runs workers on a database and a depot until ctx ends.
func (s *settings) work(ctx context.Context, url, store string, workers int, log *slog.Logger) error {
	pool, err := postgis.Open(ctx, postgis.Config{URL: url, MaxConns: int32(4*workers + runtime.GOMAXPROCS(0) + 8), ApplicationName: "changde worker"})
	if err != nil {
		return err
	}
	defer pool.Close()
	config, err := s.ingestConfig(pool, store, log)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	if archives, err := s.archives(pool, log); err != nil {
		return err
	} else if archives != nil {
		config.Tiles = archives // one, so that one content is cut at a time
		group.Go(func() error { return archives.Tend(ctx) })
	}
	group.Go(func() error {
		return jobs.Run(ctx, pool, ingest.New(pool, config), jobs.Config{Workers: workers, Log: log})
	})
	return group.Wait()
}

// ingestConfig is how every command loads, decides and serves deliveries. Without
// a store files are loaded from where they are.
func (s *settings) ingestConfig(pool *pgxpool.Pool, store string, log *slog.Logger) (ingest.Config, error) {
	city, err := s.city()
	if err != nil {
		return ingest.Config{}, err
	}
	library, err := s.library()
	if err != nil {
		return ingest.Config{}, err
	}
	queue, err := jobs.NewQueue(pool)
	if err != nil {
		return ingest.Config{}, err
	}
	config := ingest.Config{City: city, Library: library, Enqueue: queue.Enqueue, Keep: s.Keep, GDAL: findGDAL(), Log: log}
	archives, err := s.archives(pool, log)
	if err != nil {
		return ingest.Config{}, err
	}
	if archives != nil {
		config.Tiles = archives
	}
	if store != "" {
		if config.Depot, err = depot.Open(store, depot.Config{Credentials: credentials()}); err != nil {
			return ingest.Config{}, err
		}
	}
	return config, nil
}

// archives are the cut tiles; nil where no place for them is named.
func (s *settings) archives(pool *pgxpool.Pool, log *slog.Logger) (*tiles.Archives, error) {
	if s.Tiles == "" {
		return nil, nil
	}
	on, err := shelf.Open(s.Tiles, shelf.Config{Credentials: credentials()})
	if err != nil {
		return nil, err
	}
	return tiles.NewArchives(pool, on, log), nil
}

// findGDAL looks for GDAL once, when the first format asks for it.
func findGDAL() func(context.Context) (*gdal.Tool, error) {
	found := sync.OnceValues(func() (*gdal.Tool, error) { return gdal.Find(context.Background(), gdal.Options{}) })
	return func(context.Context) (*gdal.Tool, error) { return found() }
}

// credentials are S3's usual variables.
func credentials() s3.Credentials {
	return s3.Credentials{
		AccessKey: os.Getenv("AWS_ACCESS_KEY_ID"), SecretKey: os.Getenv("AWS_SECRET_ACCESS_KEY"), SessionToken: os.Getenv("AWS_SESSION_TOKEN"),
	}
}

// library is the built-in layer standards with the operator's own laid over them.
func (s *settings) library() (*profile.Library, error) {
	library, err := profile.Builtin()
	if err != nil || s.Profiles == "" {
		return library, err
	}
	return library.Overlay(os.DirFS(s.Profiles))
}
