// Package api is the platform over HTTP: OGC API Features and Tiles, releases,
// deliveries and projects, by one permission model. A request is a principal
// with a view of the catalog; handlers reach data only through that view.
package api

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/go-chi/cors"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/klauspost/compress/gzhttp"
	"golang.org/x/sync/semaphore"

	"changde/access"
	"changde/catalog"
	"changde/features"
	"changde/ingest"
	"changde/projects"
	"changde/tiles"
	"changde/tiles/style"
)

// Config tunes the API. City is required; the zero value of the rest works.
type Config struct {
	City catalog.City
	// PublicURL is the origin that links are made with, such as
	// "https://map.changde.gov.cn". Empty: the Host header of each request, by http,
	// or by https where the request came by TLS.
	PublicURL string
	// MaxBody bounds a request's body in bytes. Default 4 MiB.
	MaxBody int64
	// MaxLimit bounds the features of one page. Default 10,000.
	MaxLimit int
	// LargeAnswers bounds the pages of features that are held in memory because
	// their clients read slowly, in bytes. Default 256 MiB.
	LargeAnswers int64
	// Timeout bounds the work on one request, its wait for the database included,
	// but not the time a slow client takes to read the answer. Default 30 s.
	Timeout time.Duration
	Log     *slog.Logger // default slog.Default()
}

// Services are what the API serves. All are required but Portal.
type Services struct {
	Catalog  *catalog.Catalog
	Access   *access.Store
	Features *features.Store
	Tiles    *tiles.Source
	Styles   *style.Book
	Ingest   *ingest.Ingester
	Projects *projects.Store
	// Pool is the database, by the server's role.
	Pool *pgxpool.Pool
	// Ready answers nil when the database does.
	Ready func(context.Context) error
	// Portal serves the page's files below /portal/, Index the page itself; nil
	// for an API without a portal.
	Portal http.Handler
	Index  http.HandlerFunc
}

// maxWatchers bounds the callers who watch deliveries at once, maxComparisons those
// who compare releases.
const (
	maxWatchers    = 100
	maxComparisons = 2
)

// Server is the API. It is safe for many goroutines.
type Server struct {
	config Config
	Services
	routes []route
	// large is room for large answers that clients are still reading, in bytes.
	large *semaphore.Weighted
	// watchers is room for callers who watch deliveries.
	watchers *semaphore.Weighted
	// comparisons is room for comparing releases, which takes a connection for long.
	comparisons *semaphore.Weighted
	// downloads is room for archives that are being sent.
	downloads *semaphore.Weighted
	kept      kept
	define    func() (definition, error)
}

// New makes the handler of the whole API.
func New(config Config, services Services) http.Handler {
	if config.MaxBody <= 0 {
		config.MaxBody = 4 << 20
	}
	if config.MaxLimit <= 0 {
		config.MaxLimit = 10_000
	}
	if config.LargeAnswers <= 0 {
		config.LargeAnswers = 256 << 20
	}
	if config.Timeout <= 0 {
		config.Timeout = 30 * time.Second
	}
	if config.Log == nil {
		config.Log = slog.Default()
	}
	s := &Server{config: config, Services: services, large: semaphore.NewWeighted(config.LargeAnswers), watchers: semaphore.NewWeighted(maxWatchers), comparisons: semaphore.NewWeighted(maxComparisons), downloads: semaphore.NewWeighted(maxDownloads)}
	s.routes = s.table()
	s.define = sync.OnceValues(func() (definition, error) { return define(config.City, s.routes) })

	r := chi.NewRouter()
	r.Use(s.open, s.observe, s.guard, middleware.GetHead, cors.Handler(cors.Options{
		AllowedOrigins: []string{"*"},
		AllowedMethods: []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete},
		AllowedHeaders: []string{"Authorization", "X-API-Key", "Content-Type", "If-None-Match", "If-Match", "If-Range", "Range", uploadOffset, revisionHeader},
		ExposedHeaders: []string{"ETag", "Link", uploadOffset, releaseHeader, revisionHeader, omittedHeader, generalizedHeader, "X-Request-Id", "Retry-After", "Location", "Accept-Ranges", "Content-Length", "Content-Range"},
		MaxAge:         600,
	}))
	// Tiles come compressed from their cache; everything else is compressed here.
	compress, err := gzhttp.NewWrapper(gzhttp.MinSize(1024), gzhttp.ContentTypes([]string{
		"application/json", "application/geo+json", "application/schema+json", "application/problem+json",
		"application/vnd.oai.openapi+json", style.Media, "text/html", "text/javascript", "text/css", "image/svg+xml",
	}))
	if err != nil {
		panic("api: the compression options are constants: " + err.Error())
	}
	r.Group(func(r chi.Router) {
		for _, route := range s.routes {
			handler := http.Handler(s.handle(route))
			if !route.compressed {
				handler = compress(handler)
			}
			r.Method(route.method, route.pattern, handler)
		}
		if services.Portal != nil {
			r.Method(http.MethodGet, "/portal/*", http.StripPrefix("/portal", services.Portal))
		}
	})
	r.NotFound(func(w http.ResponseWriter, r *http.Request) { s.writeProblem(w, r, errNoResource) })
	r.MethodNotAllowed(func(w http.ResponseWriter, hr *http.Request) {
		// RFC 9110, 15.5.6: the answer names the methods there are.
		w.Header().Set("Allow", strings.Join(allowed(r, hr), ", "))
		s.writeProblem(w, hr, errMethod)
	})
	return r
}

func allowed(routes chi.Routes, r *http.Request) []string {
	path := r.URL.RawPath
	if path == "" {
		path = r.URL.Path
	}
	var methods []string
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		if !routes.Match(chi.NewRouteContext(), method, path) {
			continue
		}
		methods = append(methods, method)
		if method == http.MethodGet {
			methods = append(methods, http.MethodHead)
		}
	}
	return methods
}

// Timeouts for the http.Server that carries the API: a slow client holds a
// connection, never a database session, and not for long.
const (
	ReadHeaderTimeout = 5 * time.Second
	ReadTimeout       = 30 * time.Second
	WriteTimeout      = time.Minute
	IdleTimeout       = 2 * time.Minute
	MaxHeaderBytes    = 64 << 10
)
