package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"changde/access"
	"changde/api"
	"changde/catalog"
	"changde/features"
	"changde/ingest"
	"changde/postgis"
	"changde/problem"
	"changde/projects"
	"changde/schemas"
	"changde/tiles"
	"changde/tiles/style"
	"changde/web"
)

// serveFlags are what dev and serve have in common.
type serveFlags struct {
	Listen    string `name:"listen" env:"CHANGDE_LISTEN" default:"127.0.0.1:8080" help:"监听地址 / address to listen on."`
	Workers   int    `name:"workers" env:"CHANGDE_WORKERS" default:"0" help:"本进程内的入库工作数；0 时另行 changde worker（dev 默认 2）/ ingest workers in this process; with 0 run changde worker beside (dev: 2)."`
	Login     string `name:"server-database" env:"CHANGDE_SERVER_DATABASE_URL" placeholder:"URL" help:"对外服务专用的数据库登录（角色 changde_api 的成员）；DATABASE_URL 只用于升级结构与工作进程 / the server's own login, a member of changde_api; DATABASE_URL then serves migrations and workers alone."`
	PublicURL string `name:"public-url" env:"CHANGDE_PUBLIC_URL" placeholder:"URL" help:"对外地址，用于响应中的链接 / origin for links in answers."`
}

type serveCommand struct {
	serveFlags
}

// Run serves until a signal.
func (c *serveCommand) Run(ctx context.Context, s *settings, out *streams) error {
	if s.Database == "" {
		return problem.New(problem.Invalid, "database-missing", "DATABASE_URL",
			"serve 需要 DATABASE_URL；本机试用请执行 changde dev", "serve needs DATABASE_URL; to try it on this machine run changde dev")
	}
	log := s.logger(out)
	listener, err := listen(c.Listen)
	if err != nil {
		return err
	}
	defer listener.Close()
	if err := schemas.Migrate(ctx, s.Database); err != nil {
		return err
	}
	return serve(ctx, s, c.serveFlags, s.Database, listener, log, out)
}

// listen takes the port before anything slow begins, so that a taken port is
// told at once.
func listen(address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, problem.Wrap(err, problem.Conflict, "port-taken", address,
			"端口已被其他程序占用，请停掉它，或用 --listen 换一个", "another program has the port; stop it, or choose another with --listen")
	}
	if err != nil {
		return nil, problem.Wrap(err, problem.Invalid, "listen", address,
			"无法监听该地址："+err.Error(), "cannot listen on this address: "+err.Error())
	}
	return l, nil
}

// loginOwns reports whether the pool's login itself, whatever role its connections
// have taken on, has the rights of the owner of the platform's tables.
func loginOwns(ctx context.Context, pool *pgxpool.Pool) (owns bool, err error) {
	err = pool.QueryRow(ctx, "SELECT pg_has_role(session_user, nspowner, 'USAGE') FROM pg_namespace WHERE nspname = 'changde'").Scan(&owns)
	if err != nil {
		return false, fmt.Errorf("look at the rights of the login: %w", err)
	}
	return owns, nil
}

// maxPage ends a page of features early.
const maxPage = 8 << 20

// statementTimeout bounds every statement of the server.
const statementTimeout = 15 * time.Second

// serve runs the API and the portal on the listener until ctx ends, then stops
// in order: no new requests, the running ones finish, the database is let go.
func serve(ctx context.Context, s *settings, flags serveFlags, url string, listener net.Listener, log *slog.Logger, out *streams) error {
	city, err := s.city()
	if err != nil {
		return err
	}
	// More connections than tiles are made at once, so that keys, pages and the
	// health check never wait for tiles.
	builds := 2 * runtime.GOMAXPROCS(0)
	login := url
	if flags.Login != "" {
		login = flags.Login
	}
	pool, err := postgis.Open(ctx, postgis.Config{
		URL: login, Role: "changde_api", StatementTimeout: statementTimeout,
		MaxConns: int32(2*builds + 8), ApplicationName: "changde serve",
	})
	if err != nil {
		return err
	}
	defer pool.Close()
	if owns, err := loginOwns(ctx, pool); err != nil {
		return err
	} else if owns && s.Database != "" { // the private cluster has one login
		log.Warn("the server is logged in as the owner of the data, whose rights RESET ROLE gives back; give it a login of its own (--server-database, docs/adr/0008)")
	}
	known, err := catalog.Open(ctx, pool, catalog.Config{Log: log})
	if err != nil {
		return err
	}
	watching, stopWatching := context.WithCancel(ctx)
	defer stopWatching()
	go func() {
		if err := known.Watch(watching); err != nil && watching.Err() == nil {
			log.Error("catalog is not watched", "err", err)
		}
	}()
	config, err := s.ingestConfig(pool, s.Depot, log)
	if err != nil {
		return err
	}
	styles, err := style.Builtin()
	if err != nil {
		return err
	}
	worked := make(chan error, 1)
	if flags.Workers > 0 && s.Depot != "" {
		// Workers write with the rights of the owner; the server's own are its role's.
		go func() {
			err := s.work(watching, url, s.Depot, flags.Workers, log)
			if err != nil && watching.Err() == nil {
				log.Error("workers have ended; deliveries wait until the next start", "err", err)
			}
			worked <- err
		}()
	} else {
		worked <- nil
	}
	archives, err := s.archives(pool, log)
	if err != nil {
		return err
	}
	if archives != nil {
		go archives.Follow(watching, known)
	}
	store := features.NewStore(pool, features.Config{MaxBytes: maxPage})
	handler := api.New(api.Config{City: city, PublicURL: flags.PublicURL, Log: log}, api.Services{
		Catalog:  known,
		Access:   access.NewStore(pool),
		Features: store,
		Tiles:    tiles.NewSource(pool, tiles.Config{Builds: builds, Archives: archives}),
		Styles:   styles,
		Ingest:   ingest.New(pool, config),
		Projects: projects.New(pool, store, projects.Config{Box: city.Box}),
		Pool:     pool,
		Ready:    pool.Ping,
		Portal:   web.Handler(),
		Index:    web.Index(),
	})
	// A map asks for many tiles at once: over one connection, behind a proxy that
	// speaks HTTP/2 without TLS.
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{
		Handler:           handler,
		Protocols:         &protocols,
		ReadHeaderTimeout: api.ReadHeaderTimeout,
		ReadTimeout:       api.ReadTimeout,
		WriteTimeout:      api.WriteTimeout,
		IdleTimeout:       api.IdleTimeout,
		MaxHeaderBytes:    api.MaxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	fmt.Fprintf(out.out, "数字常德已就绪 / ready: http://%s\n", listener.Addr())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	fmt.Fprintln(out.out, "正在停止 / stopping")
	defer func() {
		stopWatching()
		if err := <-worked; err != nil {
			log.Error("workers", "err", err)
		}
	}()
	stopping, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	if err := server.Shutdown(stopping); err != nil {
		log.Warn("requests cut off", "err", err)
		return server.Close()
	}
	return nil
}
