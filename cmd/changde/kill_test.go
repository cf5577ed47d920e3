package main

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/paulmach/orb/encoding/mvt"

	"changde/postgis"
	"changde/postgis/postgistest"
	"changde/schemas"
)

// asProgram in the environment makes the test binary the program itself.
const asProgram = "CHANGDE_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	postgistest.Main(m)
}

// The environment of a long run: how many moments, and the seed of a run that is to
// be seen again.
const (
	killMoments = "CHANGDE_TEST_KILLS"
	killSeed    = "CHANGDE_TEST_SEED"
)

// fewMoments are tried in every run of the tests.
const fewMoments = 8

// TestKilledAtRandomMoments kills, as kill -9 does, the worker, the server,
// PostgreSQL or the roll back itself at random moments of deliveries and rollbacks.
// Readers see one whole release at any time, every delivery is carried to its end,
// and nothing is left of what was begun.
func TestKilledAtRandomMoments(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts PostgreSQL; skipped under -short")
	}
	moments, seed := killPlan(t)
	r := newRuins(t, rand.New(rand.NewPCG(seed, 1)))
	reading, stop := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	readers.Go(func() { r.readAll(reading) })
	for n := range moments {
		r.moment(n)
		if n%20 == 19 {
			r.settle()
		}
	}
	r.settle()
	stop()
	readers.Wait()
	r.leftovers()
	t.Logf("killed %v; %d reads of a whole release, %d of none", r.killed, r.whole.Load(), r.unanswered.Load())
	if r.whole.Load() < int64(moments) {
		t.Errorf("only %d reads were answered", r.whole.Load())
	}
}

// killPlan is how many moments are tried, and the seed that they follow from.
func killPlan(t *testing.T) (moments int, seed uint64) {
	t.Helper()
	moments, seed = fewMoments, uint64(time.Now().UnixNano())
	for name, into := range map[string]func(uint64){killMoments: func(n uint64) { moments = int(n) }, killSeed: func(n uint64) { seed = n }} {
		if text := os.Getenv(name); text != "" {
			n, err := strconv.ParseUint(text, 10, 64)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			into(n)
		}
	}
	t.Logf("%s=%d %s=%d", killMoments, moments, killSeed, seed)
	return moments, seed
}

// ruins is a platform whose parts are killed.
type ruins struct {
	*testing.T
	random         *rand.Rand
	dir            string
	cluster        *postgis.Cluster
	address, key   string
	server, worker *process
	killed         map[string]int
	// open are deliveries that have not ended, by what they hold.
	open              map[int]int
	next              int
	begun             sync.WaitGroup
	mu                sync.Mutex // of open
	whole, unanswered atomic.Int64
	seen              sync.Map // release number to what it holds
}

// process is a part of the platform under a supervisor, which starts it again.
type process struct {
	args []string
	env  []string
	mu   sync.Mutex
	cmd  *exec.Cmd
	stop atomic.Bool
	done chan struct{}
	errs bytes.Buffer
}

func (p *process) supervise() {
	defer close(p.done)
	for !p.stop.Load() {
		c := exec.Command(os.Args[0], p.args...)
		c.Env, c.Stderr = p.env, &p.errs
		p.mu.Lock()
		err := c.Start()
		p.cmd = c
		p.mu.Unlock()
		if err == nil {
			_ = c.Wait()
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil && p.cmd.Process != nil {
		_ = p.cmd.Process.Kill()
	}
}

func newRuins(t *testing.T, random *rand.Rand) *ruins {
	t.Helper()
	dir, err := os.MkdirTemp("", "changde-kill-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil { // the server's user passes through
		t.Fatal(err)
	}
	r := &ruins{T: t, random: random, dir: dir, killed: make(map[string]int), open: make(map[int]int)}
	r.startPostgreSQL()
	t.Cleanup(func() { _ = r.cluster.Stop(context.Background()) })
	if err := schemas.Migrate(t.Context(), r.cluster.URL()); err != nil {
		t.Fatal(err)
	}
	p := program{t, r.cluster.URL()}
	p.expect(0, nil, "org", "add", "guotu", "市国土局")
	r.key = strings.TrimSpace(p.expect(0, nil, "key", "create", "guotu", "--role", "approver"))
	for _, name := range []string{"tmp", "depot"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.address = l.Addr().String()
	l.Close()
	r.server = r.start("serve", "--listen", r.address)
	r.worker = r.start("worker", "--workers", "2")
	r.deliver()
	r.settle()
	return r
}

// environment is that of the program's own processes.
func (r *ruins) environment() []string {
	return append(os.Environ(), asProgram+"=1", "DATABASE_URL="+r.cluster.URL(),
		"CHANGDE_DEPOT="+filepath.Join(r.dir, "depot"), "CHANGDE_TILES="+filepath.Join(r.dir, "tiles"), "TMPDIR="+filepath.Join(r.dir, "tmp"), "CHANGDE_LOG=error")
}

func (r *ruins) start(args ...string) *process {
	p := &process{args: args, env: r.environment(), done: make(chan struct{})}
	go p.supervise()
	r.Cleanup(func() {
		p.stop.Store(true)
		p.kill()
		<-p.done
		if r.Failed() {
			text := p.errs.String()
			r.Logf("changde %v said at last:\n%s", args, text[max(0, len(text)-4000):])
		}
	})
	return p
}

func (r *ruins) startPostgreSQL() {
	r.Helper()
	c, err := postgis.StartCluster(r.Context(), postgis.ClusterConfig{Dir: filepath.Join(r.dir, "pg"), Durable: true, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		r.Fatalf("start PostgreSQL: %v", err)
	}
	r.cluster = c
}

// killPostgreSQL kills the postmaster, or one of its sessions, for which it throws all
// others out and recovers by itself.
func (r *ruins) killPostgreSQL(session bool) {
	r.Helper()
	found, err := filepath.Glob(filepath.Join(r.dir, "pg", "*", "postmaster.pid"))
	if err != nil || len(found) != 1 {
		r.Fatalf("postmaster.pid: %v %v", found, err)
	}
	data, err := os.ReadFile(found[0])
	if err != nil {
		r.Fatal(err)
	}
	line, _, _ := bytes.Cut(data, []byte("\n"))
	pid, err := strconv.Atoi(string(line))
	if err != nil {
		r.Fatal(err)
	}
	if session {
		if pid := r.session(); pid > 0 {
			_ = syscall.Kill(pid, syscall.SIGKILL)
			return
		}
	}
	_ = syscall.Kill(pid, syscall.SIGKILL)
	for range 200 {
		if syscall.Kill(pid, 0) != nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	time.Sleep(300 * time.Millisecond) // its children notice
	_ = r.cluster.Stop(context.Background())
	r.startPostgreSQL()
}

// session is the process of a session of the worker, the busiest; 0 when there is
// none at the moment.
func (r *ruins) session() (pid int) {
	conn, err := pgx.Connect(r.Context(), r.cluster.URL())
	if err != nil {
		return 0
	}
	defer conn.Close(r.Context())
	_ = conn.QueryRow(r.Context(), "SELECT pid FROM pg_stat_activity WHERE application_name = 'changde worker' ORDER BY (state = 'active') DESC, backend_start LIMIT 1").Scan(&pid)
	return pid
}

// size is how many points a delivery holds: its number says so, as does each point.
func size(v int) int { return 800 + v%101 }

func points(v int) []byte {
	var text, packed bytes.Buffer
	text.WriteString(`{"type":"FeatureCollection","features":[`)
	for i := range size(v) {
		if i > 0 {
			text.WriteByte(',')
		}
		fmt.Fprintf(&text, `{"type":"Feature","properties":{"v":%d},"geometry":{"type":"Point","coordinates":[%.5f,29]}}`, v, 111.5+float64(i)*0.0005)
	}
	text.WriteString("]}")
	z := zip.NewWriter(&packed)
	w, err := z.Create("p.geojson")
	if err == nil {
		_, err = w.Write(text.Bytes())
	}
	if err = errors.Join(err, z.Close()); err != nil {
		panic(err) // a buffer takes everything
	}
	return packed.Bytes()
}

// ask asks the server until it answers; while it is away it is asked again.
func (r *ruins) ask(method, path string, body []byte, ok func(status int) bool) []byte {
	deadline := time.Now().Add(90 * time.Second)
	for {
		status, answer, err := r.once(r.Context(), method, path, body)
		if err == nil && ok(status) {
			return answer
		}
		if time.Now().After(deadline) {
			r.Errorf("%s %s: %d %v\n%s", method, path, status, err, answer)
			return nil
		}
		if err == nil && status != http.StatusServiceUnavailable {
			r.Errorf("%s %s: %d\n%s", method, path, status, answer)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func (r *ruins) once(ctx context.Context, method, path string, body []byte) (int, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, "http://"+r.address+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("X-API-Key", r.key)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return answer.StatusCode, text, err
}

func succeeded(status int) bool { return status < 300 }

// deliver sends a delivery as a bureau's program does, which asks again where no
// answer came.
func (r *ruins) deliver() {
	v := r.next
	r.next++
	var made struct {
		Delivery int `json:"delivery"`
	}
	answer := r.ask(http.MethodPost, "/deliveries", []byte(`{"dataset":"p","confirm":true}`), succeeded)
	if err := json.Unmarshal(answer, &made); err != nil {
		r.Errorf("delivery %q: %v", answer, err)
		return
	}
	at := fmt.Sprintf("/deliveries/%d", made.Delivery)
	body := points(v)
	r.ask(http.MethodPut, at+"/files/p.zip", body, func(status int) bool {
		// What came before the break is there already: so is all of it.
		return succeeded(status) || status == http.StatusConflict
	})
	r.ask(http.MethodPost, at+"/submit", nil, func(status int) bool { return succeeded(status) || status == http.StatusConflict })
	r.mu.Lock()
	r.open[made.Delivery] = v
	r.mu.Unlock()
}

// moment begins a delivery or a rollback and kills a part of the platform in the
// middle of it.
func (r *ruins) moment(n int) {
	r.Helper()
	var rollback *exec.Cmd
	if r.random.IntN(3) == 0 {
		rollback = exec.Command(os.Args[0], "release", "rollback", "p")
		rollback.Env = r.environment()
		if err := rollback.Start(); err != nil {
			r.Fatal(err)
		}
	} else {
		r.begun.Go(r.deliver)
	}
	time.Sleep(time.Duration(r.random.Int64N(int64(700 * time.Millisecond))))
	victims := []string{"worker", "server", "PostgreSQL", "session"}
	if rollback != nil {
		victims = append(victims, "rollback", "rollback")
	}
	victim := victims[r.random.IntN(len(victims))]
	r.killed[victim]++
	switch victim {
	case "worker":
		r.worker.kill()
	case "server":
		r.server.kill()
	case "PostgreSQL", "session":
		r.killPostgreSQL(victim == "session")
	case "rollback":
		_ = rollback.Process.Kill()
	}
	if rollback != nil {
		_ = rollback.Wait()
	} else {
		r.begun.Wait()
	}
	if r.Failed() {
		r.Fatalf("at moment %d, %s killed", n, victim)
	}
	r.consistent(n, victim)
}

// query reads one text from the database, waiting while it recovers.
func (r *ruins) query(sql string) string {
	r.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for {
		var text string
		conn, err := pgx.Connect(r.Context(), r.cluster.URL())
		if err == nil {
			err = conn.QueryRow(r.Context(), sql).Scan(&text)
			_ = conn.Close(r.Context())
		}
		if err == nil {
			return text
		}
		if time.Now().After(deadline) {
			r.Fatalf("%s: %v", sql, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// consistent looks past the server: the rows are those of one release, the one that
// the catalog names, and revisions grow.
func (r *ruins) consistent(n int, victim string) {
	r.Helper()
	got := r.query(`SELECT concat_ws(' ',
		(SELECT count(*) = d.rows AND count(*) = r.rows AND count(DISTINCT v) = 1 AND count(*) = 800 + min(v) % 101 FROM data.p),
		d.release = (SELECT max(release) FROM changde.releases WHERE dataset = 'p'),
		d.release = (SELECT count(*) FROM changde.releases WHERE dataset = 'p'),
		(SELECT bool_and(later) FROM (SELECT committed_at > lag(committed_at, 1, '-infinity') OVER w AND revision = lag(revision, 1, 0::bigint) OVER w + 1 AS later
			FROM changde.revisions WHERE dataset = 'p' WINDOW w AS (ORDER BY revision)) x))
		FROM changde.datasets d JOIN changde.releases r ON r.dataset = d.id AND r.release = d.release WHERE d.id = 'p'`)
	if got != "t t t t" {
		r.Fatalf("moment %d, %s killed: whole, current, counted, growing are %s", n, victim, got)
	}
}

// readAll reads the dataset over and over: a page, and a tile, holds all rows of one
// release.
func (r *ruins) readAll(ctx context.Context) {
	reads := []struct {
		path  string
		check func([]byte) error
	}{
		{"/collections/p/items?limit=1000", r.page},
		{"/collections/p/tiles/WebMercatorQuad/7/53/103", r.tile},
	}
	for n := 0; ctx.Err() == nil; n++ {
		read := reads[n%len(reads)]
		status, body, err := r.once(ctx, http.MethodGet, read.path, nil)
		switch {
		case ctx.Err() != nil:
		case err != nil || status == http.StatusServiceUnavailable:
			r.unanswered.Add(1)
			time.Sleep(50 * time.Millisecond)
		case status != http.StatusOK:
			r.Errorf("a reader is answered %d: %s", status, body)
			return
		default:
			if err := read.check(body); err != nil {
				r.Error(err)
				return
			}
			r.whole.Add(1)
		}
	}
}

func (r *ruins) tile(body []byte) error {
	layers, err := mvt.Unmarshal(body) // the client has unpacked it
	if err != nil {
		return err
	}
	if len(layers) != 1 || len(layers[0].Features) == 0 {
		return errors.New("a tile is empty")
	}
	features := layers[0].Features
	v := features[0].Properties["v"]
	for _, f := range features {
		if f.Properties["v"] != v {
			return fmt.Errorf("a tile mixes %v and %v", v, f.Properties["v"])
		}
	}
	if n, ok := v.(float64); !ok || len(features) != size(int(n)) {
		return fmt.Errorf("a tile of %v has %d rows", v, len(features))
	}
	return nil
}

func (r *ruins) page(body []byte) error {
	var page struct {
		Release  int `json:"release"`
		Features []struct {
			Properties struct {
				V int `json:"v"`
			} `json:"properties"`
		} `json:"features"`
	}
	if err := json.Unmarshal(body, &page); err != nil {
		return fmt.Errorf("a page is %w: %.200s", err, body)
	}
	if len(page.Features) == 0 {
		return errors.New("a page is empty")
	}
	v := page.Features[0].Properties.V
	for _, f := range page.Features {
		if f.Properties.V != v {
			return fmt.Errorf("a page of release %d mixes %d and %d", page.Release, v, f.Properties.V)
		}
	}
	if len(page.Features) != size(v) {
		return fmt.Errorf("a page of release %d has %d rows of %d", page.Release, len(page.Features), size(v))
	}
	if before, known := r.seen.LoadOrStore(page.Release, v); known && before != v {
		return fmt.Errorf("release %d held %d and now %d", page.Release, before, v)
	}
	return nil
}

// settle waits until every delivery has become a release.
func (r *ruins) settle() {
	r.Helper()
	deadline := time.Now().Add(4 * time.Minute)
	for id := range r.open {
		for {
			state := r.query(fmt.Sprintf("SELECT concat_ws(' ', state, error) FROM changde.deliveries WHERE id = %d", id))
			if state == "released" {
				break
			}
			if strings.HasPrefix(state, "failed") || time.Now().After(deadline) {
				r.Fatalf("delivery %d is %s", id, state)
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	clear(r.open)
}

// leftovers are rows and differences of what was not released, and unpacked files.
func (r *ruins) leftovers() {
	r.Helper()
	if got := r.query(`SELECT coalesce(string_agg(schemaname || '.' || tablename, ' '), '') FROM pg_tables
		WHERE schemaname = 'difference' AND tablename NOT IN (SELECT 'd' || id FROM changde.deliveries WHERE state = 'released') OR schemaname = 'content'
		AND 'content.' || regexp_replace(tablename, '_[hc]$', '') NOT IN (SELECT relation FROM changde.releases WHERE relation IS NOT NULL)`); got != "" {
		r.Errorf("tables without a release: %s", got)
	}
	if got := r.query(`SELECT count(*)::text FROM changde.deliveries WHERE state NOT IN ('released', 'receiving')`); got != "0" {
		r.Errorf("%s deliveries have not ended", got)
	}
	left, err := os.ReadDir(filepath.Join(r.dir, "tmp"))
	if err != nil {
		r.Fatal(err)
	}
	for _, e := range left {
		r.Errorf("left in the folder of temporary files: %s", e.Name())
	}
}
