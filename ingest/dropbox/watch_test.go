package dropbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"changde/problem"
)

func TestDeliveries(t *testing.T) {
	t.Parallel()
	eachPlace(t, func(t *testing.T, at place) {
		at.put(t, "鼎城区局/DLTB.shp", "shp")
		at.put(t, "鼎城区局/DLTB.dbf", "dbf")
		at.put(t, "鼎城区局/dltb.SHX", "shx")
		at.put(t, "鼎城区局/DLTB.prj", "prj")
		at.put(t, "鼎城区局/宗地 2024（终）.zip", "zip")
		at.put(t, "鼎城区局/.~lock", "lock")
		at.put(t, "武陵区局/2024年变更调查/A.gdb/a00000001.gdbtable", "table")
		at.put(t, "武陵区局/2024年变更调查/说明.txt", "text")
		at.put(t, "武陵区局/2024年变更调查/Thumbs.db", "litter")
		at.put(t, "武陵区局/水系.geojson", "{}")
		at.put(t, "no-sender.zip", "x")
		r := &receiver{}
		rules := []Rule{
			{Sender: "鼎城区局", Pattern: "dltb*", Dataset: "dltb"},
			{Sender: "汉寿县局", Dataset: "never"},
			{Pattern: "*.ZIP", Dataset: "zd"},
		}
		stop := watching(t, at.open(t, quick(t)), rules, r.receive, quick(t))
		eventually(t, "all are received", func() bool { return r.count() == 4 && at.claims(t) == 0 })
		stop()

		want := []received{
			{"武陵区局", "2024年变更调查", "", map[string]string{"2024年变更调查/A.gdb/a00000001.gdbtable": "table", "2024年变更调查/说明.txt": "text"}},
			{"武陵区局", "水系.geojson", "", map[string]string{"水系.geojson": "{}"}},
			{"鼎城区局", "DLTB.shp", "dltb", map[string]string{"DLTB.shp": "shp", "DLTB.dbf": "dbf", "dltb.SHX": "shx", "DLTB.prj": "prj"}},
			{"鼎城区局", "宗地 2024（终）.zip", "zd", map[string]string{"宗地 2024（终）.zip": "zip"}},
		}
		if d := cmp.Diff(want, r.all()); d != "" {
			t.Errorf("(-want +got)\n%s", d)
		}
		left := stamped(at.files(t))
		for _, path := range []string{
			"no-sender.zip", "鼎城区局/.~lock", "鼎城区局/done/DLTB.shp/DLTB.shp", "鼎城区局/done/DLTB.shp/dltb.SHX",
			"鼎城区局/done/宗地 2024（终）.zip/宗地 2024（终）.zip", "武陵区局/done/2024年变更调查/2024年变更调查/A.gdb/a00000001.gdbtable",
		} {
			if _, ok := left[path]; !ok {
				t.Errorf("%s is not there", path)
			}
		}
		var receipt struct {
			Delivery int64
			Sender   string
			Name     string
			Files    []struct{ Name, SHA256 string }
		}
		must(t, json.Unmarshal([]byte(left["武陵区局/done/水系.geojson/receipt.json"]), &receipt))
		const empty = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a" // SHA-256 of {}
		if receipt.Delivery < 100 || receipt.Sender != "武陵区局" || len(receipt.Files) != 1 || receipt.Files[0].SHA256 != empty {
			t.Errorf("receipt %+v", receipt)
		}
		if t.Failed() {
			t.Log(strings.Join(names(left), "\n"))
		}
	})
}

func TestRefusal(t *testing.T) {
	t.Parallel()
	eachPlace(t, func(t *testing.T, at place) {
		at.put(t, "鼎城区局/DLTB.zip", "zip")
		at.put(t, "鼎城区局/原因.txt", "the sender's own")
		cause := errors.New("secret cause")
		r := &receiver{answer: func(p Parcel) error {
			return fmt.Errorf("receive: %w", problem.Wrap(cause, problem.Invalid, "crs-unknown", p.Name, "没有坐标系", "there is no CRS"))
		}}
		stop := watching(t, at.open(t, quick(t)), nil, r.receive, quick(t))
		eventually(t, "both are refused", func() bool { return len(names(at.files(t))) == 4 && at.claims(t) == 0 })
		stop()
		left := stamped(at.files(t))
		reason := text([]byte(left["鼎城区局/refused/DLTB.zip/原因.txt"]))
		for _, want := range []string{"没有坐标系", "there is no CRS", "crs-unknown", "鼎城区局/DLTB.zip", "\r\n"} {
			if !strings.Contains(reason, want) {
				t.Errorf("the reason lacks %q:\n%s", want, reason)
			}
		}
		if strings.Contains(reason, "secret") || !strings.HasPrefix(left["鼎城区局/refused/DLTB.zip/原因.txt"], byteOrderMark) {
			t.Errorf("reason:\n%s", reason)
		}
		if left["鼎城区局/refused/DLTB.zip/DLTB.zip"] != "zip" {
			t.Errorf("left: %q", names(left))
		}
		found := false
		for _, content := range left {
			found = found || content == "the sender's own"
		}
		if !found {
			t.Errorf("the sender's file was overwritten: %q", names(left))
		}
	})
}

func TestTroubleOfOursIsTriedAgain(t *testing.T) {
	t.Parallel()
	eachPlace(t, func(t *testing.T, at place) {
		at.put(t, "a/x.zip", "zip")
		tries := 0
		r := &receiver{answer: func(Parcel) error {
			if tries++; tries == 1 {
				return errors.New("no connection to the database")
			} else if tries == 2 {
				return problem.New(problem.Busy, "depot-full", "", "满", "full")
			}
			return nil
		}}
		watching(t, at.open(t, quick(t)), nil, r.receive, quick(t))
		eventually(t, "it is received", func() bool { return r.count() == 1 && at.claims(t) == 0 })
		if _, ok := stamped(at.files(t))["a/done/x.zip/x.zip"]; !ok || tries != 3 {
			t.Errorf("%d tries; left %q", tries, names(at.files(t)))
		}
	})
}

// TestExactlyOnce: several watchers, several boxes opened on one place, while
// senders go on sending.
func TestExactlyOnce(t *testing.T) {
	t.Parallel()
	eachPlace(t, func(t *testing.T, at place) {
		r := &receiver{}
		config := quick(t)
		config.Lease = 20 * time.Second
		for range 4 {
			watching(t, at.open(t, config), nil, r.receive, config)
		}
		const n = 40
		for i := range n {
			at.put(t, fmt.Sprintf("局%d/宗地%d.shp", i%3, i), "shp")
			at.put(t, fmt.Sprintf("局%d/宗地%d.dbf", i%3, i), "dbf")
			at.put(t, fmt.Sprintf("局%d/宗地%d.shx", i%3, i), "shx")
			at.put(t, fmt.Sprintf("局%d/宗地%d.ok", i%3, i), "")
		}
		eventually(t, "all are settled", func() bool { return r.count() >= n && at.claims(t) == 0 })
		time.Sleep(100 * time.Millisecond)
		if r.count() != n {
			t.Errorf("%d were received", r.count())
		}
		for _, got := range r.all() {
			if len(got.Files) != 3 {
				t.Errorf("%s came with %v", got.Name, got.Files)
			}
		}
		if left := at.files(t); len(left) != n*5 { // with marker and receipt
			t.Errorf("%d files are left, want %d", len(left), n*5)
		}
	})
}

// TestDeadWatchers: whatever a watcher had done when it died, another carries the
// parcel through, and a watcher that only seemed dead cannot meddle.
func TestDeadWatchers(t *testing.T) {
	t.Parallel()
	deaths := map[string]func(t *testing.T, b Box, p *Parcel){
		"claimed": func(*testing.T, Box, *Parcel) {},
		"fetched": func(t *testing.T, b Box, p *Parcel) {
			_, err := b.Fetch(t.Context(), p, t.TempDir())
			must(t, err)
		},
		"recorded":   func(t *testing.T, b Box, p *Parcel) { recordOnly(t, b, p) },
		"half moved": halfMove,
	}
	for name, die := range deaths {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachPlace(t, func(t *testing.T, at place) {
				at.put(t, "a/宗地.shp", "shp")
				at.put(t, "a/宗地.dbf", "dbf")
				at.put(t, "a/宗地.shp.ok", "")
				config := quick(t)
				config.Lease = 150 * time.Millisecond
				dead := at.open(t, config)
				found, err := dead.Scan(t.Context())
				must(t, err)
				if len(found) != 1 {
					t.Fatalf("found %v", found)
				}
				p := found[0]
				ok, err := dead.Claim(t.Context(), &p)
				if !ok || err != nil {
					t.Fatalf("claim: %t, %v", ok, err)
				}
				die(t, dead, &p)

				r := &receiver{}
				stop := watching(t, at.open(t, config), nil, r.receive, config)
				want := 1
				if name == "recorded" || name == "half moved" {
					want = 0
				}
				eventually(t, "it is settled", func() bool { return at.claims(t) == 0 })
				stop()
				if r.count() != want {
					t.Errorf("received %d times, want %d", r.count(), want)
				}
				left := stamped(at.files(t))
				if len(left) != 4 || left["a/done/宗地.shp/宗地.shp"] != "shp" || left["a/done/宗地.shp/宗地.dbf"] != "dbf" {
					t.Errorf("left: %q", names(left))
				}
				if want == 0 && !strings.Contains(left["a/done/宗地.shp/receipt.json"], `"delivery": 7`) {
					t.Errorf("receipt %s", left["a/done/宗地.shp/receipt.json"])
				}
				for what, err := range map[string]error{"renew": dead.Renew(t.Context(), &p), "release": dead.Release(t.Context(), &p)} {
					if !errors.Is(err, ErrLost) {
						t.Errorf("%s by the dead: %v", what, err)
					}
				}
			})
		})
	}
}

// TestRaceForDeadClaims: of many watchers that find the same claims dead, each
// claim goes to one.
func TestRaceForDeadClaims(t *testing.T) {
	t.Parallel()
	eachPlace(t, func(t *testing.T, at place) {
		const n, watchers = 25, 6
		config := quick(t)
		config.Lease = 20 * time.Millisecond
		scan := func(b Box) map[string]Parcel {
			found, err := b.Scan(t.Context())
			must(t, err)
			out := make(map[string]Parcel)
			for _, p := range found {
				out[p.Name] = p
			}
			return out
		}
		for i := range n {
			at.put(t, fmt.Sprintf("a/%d.zip", i), "zip")
			at.put(t, fmt.Sprintf("a/%d.zip.ok", i), "")
		}
		for _, p := range scan(at.open(t, config)) {
			if ok, err := at.open(t, config).Claim(t.Context(), &p); !ok || err != nil {
				t.Fatalf("claim: %t, %v", ok, err)
			}
		}
		boxes := make([]Box, watchers)
		found := make([]map[string]Parcel, watchers)
		for i := range boxes {
			boxes[i] = at.open(t, config)
			scan(boxes[i])
		}
		time.Sleep(30 * time.Millisecond)
		for i := range boxes {
			if found[i] = scan(boxes[i]); len(found[i]) != n {
				t.Fatalf("%d dead claims are found", len(found[i]))
			}
		}
		var won [n]atomic.Int64
		var wait sync.WaitGroup
		for i := range boxes {
			wait.Go(func() {
				for k := range n {
					p := found[i][fmt.Sprintf("%d.zip", k)]
					ok, err := boxes[i].Claim(t.Context(), &p)
					if err != nil {
						t.Error(err)
					}
					if ok {
						won[k].Add(1)
					}
				}
			})
		}
		wait.Wait()
		for k := range won {
			if won[k].Load() != 1 {
				t.Errorf("%d was taken over %d times", k, won[k].Load())
			}
		}
	})
}

// TestStaleScan: what was settled since a scan cannot be claimed.
func TestStaleScan(t *testing.T) {
	t.Parallel()
	eachPlace(t, func(t *testing.T, at place) {
		at.put(t, "a/x.zip", "zip")
		at.put(t, "a/x.zip.ok", "")
		one, two := at.open(t, quick(t)), at.open(t, quick(t))
		first, err := one.Scan(t.Context())
		must(t, err)
		second, err := two.Scan(t.Context())
		must(t, err)
		if ok, err := one.Claim(t.Context(), &first[0]); !ok || err != nil {
			t.Fatalf("claim: %t, %v", ok, err)
		}
		if ok, err := two.Claim(t.Context(), &second[0]); ok || err != nil {
			t.Fatalf("claimed twice: %v", err)
		}
		must(t, one.Settle(t.Context(), &first[0], Outcome{Delivery: 1}))
		if ok, err := two.Claim(t.Context(), &second[0]); ok || err != nil {
			t.Fatalf("claimed after it was settled: %v", err)
		}
		if at.claims(t) != 0 {
			t.Error("a claim is left")
		}
	})
}

// recordOnly is the beginning of a Settle.
func recordOnly(t *testing.T, b Box, p *Parcel) *record {
	t.Helper()
	r := newRecord(p, Outcome{Delivery: 7})
	switch b := b.(type) {
	case *Folder:
		must(t, b.saveRecord(p, r))
	case *S3:
		p.claim.record = r
		must(t, b.write(t.Context(), p))
	}
	return r
}

// halfMove is a Settle as far as the first of two files.
func halfMove(t *testing.T, b Box, p *Parcel) {
	t.Helper()
	r := recordOnly(t, b, p)
	f := p.Files[0]
	switch b := b.(type) {
	case *Folder:
		sender, err := openDirAt(b.root, p.sender)
		must(t, err)
		defer sender.Close()
		done, err := mkdirAt(sender, doneName, 0o755)
		must(t, err)
		defer done.Close()
		to, err := mkdirAt(done, r.Target, 0o755)
		must(t, err)
		defer to.Close()
		must(t, moveFile(sender, to, f))
	case *S3:
		must(t, b.moveObject(t.Context(), b.key(p, f.raw), b.key(p, doneName+"/"+r.Target+"/"+f.raw), f.mark, f.Size))
	}
}

// TestSlowReceive: a claim is kept alive for as long as receive takes.
func TestSlowReceive(t *testing.T) {
	t.Parallel()
	eachPlace(t, func(t *testing.T, at place) {
		at.put(t, "a/宗地.zip", "zip")
		config := quick(t)
		config.Lease = 400 * time.Millisecond
		var calls atomic.Int64
		receive := func(ctx context.Context, _ Parcel) (int64, error) {
			calls.Add(1)
			select {
			case <-time.After(1500 * time.Millisecond):
			case <-ctx.Done():
			}
			return 1, ctx.Err()
		}
		for range 3 {
			watching(t, at.open(t, config), nil, receive, config)
		}
		eventually(t, "it is settled", func() bool {
			_, ok := stamped(at.files(t))["a/done/宗地.zip/receipt.json"]
			return ok && at.claims(t) == 0
		})
		if calls.Load() != 1 {
			t.Errorf("received %d times", calls.Load())
		}
	})
}

// TestStoppedWatcherGivesBack: a watcher that is told to end in the middle of a
// receive leaves the parcel to the others at once.
func TestStoppedWatcherGivesBack(t *testing.T) {
	t.Parallel()
	eachPlace(t, func(t *testing.T, at place) {
		at.put(t, "a/宗地.zip", "zip")
		config := quick(t)
		config.Lease = time.Hour
		began := make(chan struct{})
		stop := watching(t, at.open(t, config), nil, func(ctx context.Context, _ Parcel) (int64, error) {
			close(began)
			<-ctx.Done()
			return 0, ctx.Err()
		}, config)
		<-began
		stop()
		r := &receiver{}
		watching(t, at.open(t, config), nil, r.receive, config)
		eventually(t, "it is received", func() bool { return r.count() == 1 && at.claims(t) == 0 })
	})
}

func TestCompleteness(t *testing.T) {
	t.Parallel()
	eachPlace(t, func(t *testing.T, at place) {
		config := quick(t)
		config.Settle, config.Patience = 300*time.Millisecond, time.Hour
		box := at.open(t, config)
		scan := func() []string {
			t.Helper()
			found, err := box.Scan(t.Context())
			must(t, err)
			var out []string
			for _, p := range found {
				out = append(out, p.Name)
			}
			return out
		}
		want := func(when string, names ...string) {
			t.Helper()
			if d := cmp.Diff(names, scan()); d != "" {
				t.Errorf("%s: (-want +got)\n%s", when, d)
			}
		}
		wait := func() { time.Sleep(350 * time.Millisecond) }

		at.put(t, "a/g.gpkg", "1")
		at.put(t, "a/lone.dbf", "dbf")
		at.put(t, "a/s.shp", "shp")
		at.put(t, "a/up.zip.filepart", "half")
		at.put(t, "a/t.zip", "t")
		at.put(t, "a/t.zip.part", "half")
		at.put(t, "a/marked.dbf", "dbf")
		at.put(t, "a/marked.OK", "")
		at.put(t, "a/folder/x", "x")
		at.put(t, "a/folder.done", "")
		want("at first", "folder", "marked.dbf")
		wait()
		at.put(t, "a/g.gpkg", "12")
		at.put(t, "a/s.dbf", "dbf")
		at.put(t, "a/s.shx", "shx")
		want("just after a change", "folder", "marked.dbf")
		wait()
		want("after a while", "folder", "g.gpkg", "marked.dbf", "s.shp")
		at.put(t, "a/s.prj", "prj")
		want("another part", "folder", "g.gpkg", "marked.dbf")

		config.Settle = -1
		box = at.open(t, config)
		want("with markers only", "folder", "marked.dbf")
		wait()
		want("with markers only, later", "folder", "marked.dbf")

		config.Settle, config.Patience = time.Millisecond, 200*time.Millisecond
		box = at.open(t, config)
		scan()
		wait()
		want("patience is over", "folder", "g.gpkg", "lone.dbf", "marked.dbf", "s.shp", "t.zip")
	})
}

// TestChangedWhileFetched: a sender who was only slow is not received half.
func TestChangedWhileFetched(t *testing.T) {
	t.Parallel()
	eachPlace(t, func(t *testing.T, at place) {
		at.put(t, "a/x.zip", "half")
		at.put(t, "a/x.zip.ok", "")
		config := quick(t)
		box := at.open(t, config)
		found, err := box.Scan(t.Context())
		must(t, err)
		p := found[0]
		ok, err := box.Claim(t.Context(), &p)
		if !ok || err != nil {
			t.Fatalf("claim: %t, %v", ok, err)
		}
		at.put(t, "a/x.zip", "halfwhole")
		if _, err := box.Fetch(t.Context(), &p, t.TempDir()); !errors.Is(err, ErrChanged) {
			t.Fatalf("fetch: %v", err)
		}
		must(t, box.Release(t.Context(), &p))
		if at.claims(t) != 0 {
			t.Error("a claim is left")
		}
		r := &receiver{}
		watching(t, at.open(t, config), nil, r.receive, config)
		eventually(t, "it is received", func() bool { return r.count() == 1 && at.claims(t) == 0 })
		if got := r.all()[0].Files["x.zip"]; got != "halfwhole" {
			t.Errorf("received %q", got)
		}
	})
}

// TestReplacedWhileReceived: what a sender puts in the place of a parcel that is
// being received is the next parcel.
func TestReplacedWhileReceived(t *testing.T) {
	t.Parallel()
	eachPlace(t, func(t *testing.T, at place) {
		at.put(t, "a/x.zip", "first")
		at.put(t, "a/f/1.shp", "one")
		seen := make(map[string]bool)
		r := &receiver{}
		r.answer = func(p Parcel) error {
			switch {
			case seen[p.Name]:
			case p.Name == "x.zip":
				at.put(t, "a/x.zip", "other") // as long as the first
			default:
				at.put(t, "a/f/2.shp", "two")
			}
			seen[p.Name] = true
			return nil
		}
		watching(t, at.open(t, quick(t)), nil, r.receive, quick(t))
		eventually(t, "all are received", func() bool {
			var got []string
			for _, g := range r.all() {
				got = append(got, fmt.Sprint(g))
			}
			joined := strings.Join(got, "\n")
			return strings.Contains(joined, "other") && strings.Contains(joined, "2.shp") && at.claims(t) == 0
		})
		kept := 0
		for path, content := range at.files(t) {
			if !strings.HasPrefix(path, "a/done/") {
				t.Errorf("%s is left", path)
			}
			if strings.HasSuffix(path, "/x.zip") {
				if kept++; content != "other" {
					t.Errorf("%s holds %q", path, content)
				}
			}
		}
		if kept != 1 {
			t.Errorf("x.zip is kept %d times", kept)
		}
	})
}

func TestRules(t *testing.T) {
	t.Parallel()
	rules := []Rule{{Sender: "a", Pattern: "DLTB*.SHP", Dataset: "1"}, {Pattern: "*.[zg]*", Dataset: "2"}, {Sender: "b", Dataset: "3"}}
	must(t, CheckRules(rules))
	for _, tt := range []struct{ sender, name, want string }{
		{"a", "dltb_2024.shp", "1"}, {"b", "dltb.shp", "3"}, {"a", "x.ZIP", "2"}, {"b", "x.gpkg", "2"}, {"A", "dltb.shp", ""}, {"c", "地类图斑", ""},
	} {
		got := ""
		if r := Match(rules, Parcel{Sender: tt.sender, Name: tt.name}); r != nil {
			got = r.Dataset
		}
		if got != tt.want {
			t.Errorf("%s/%s: rule %q, want %q", tt.sender, tt.name, got, tt.want)
		}
	}
	wantCode(t, CheckRules([]Rule{{Pattern: "[a-"}}), "dropbox-rule")
	wantCode(t, CheckRules([]Rule{{Dataset: "a\nb"}}), "dropbox-rule")
	wantCode(t, CheckRules(make([]Rule, 2000)), "dropbox-rules")
	wantCode(t, Watch(t.Context(), nil, []Rule{{Pattern: "[a-"}}, nil, Config{}), "dropbox-rule")
}
