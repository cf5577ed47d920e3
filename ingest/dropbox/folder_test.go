package dropbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/text/encoding/simplifiedchinese"

	"changde/problem"
)

const killEnv = "CHANGDE_DROPBOX_TEST_WATCH"

// TestMain runs the watching process of TestKilledWatcher when asked to: it
// receives one parcel and says so, and never ends.
func TestMain(m *testing.M) {
	dir := os.Getenv(killEnv)
	if dir == "" {
		os.Exit(m.Run())
	}
	config := Config{Poll: 5 * time.Millisecond, Settle: 10 * time.Millisecond, Lease: 300 * time.Millisecond, TempDir: os.Getenv(killEnv + "_TEMP")}
	box, err := OpenFolder(dir, config)
	if err == nil {
		err = Watch(context.Background(), box, nil, func(_ context.Context, p Parcel) (int64, error) {
			fmt.Println(p.ID)
			if strings.HasPrefix(p.Name, "wait") {
				select {}
			}
			return 1, nil
		}, config)
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// TestKilledWatcher kills a process in the middle of a receive. Another hands the
// same parcel over again, under the same ID.
func TestKilledWatcher(t *testing.T) {
	t.Parallel()
	at, temp := folderPlace{t.TempDir()}, t.TempDir()
	at.put(t, "a/wait.zip", "zip")
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), killEnv+"="+at.dir, killEnv+"_TEMP="+temp)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	line := make([]byte, 33)
	if _, err := out.Read(line); err != nil {
		t.Fatal(err)
	}
	must(t, cmd.Process.Kill())
	cmd.Wait()

	var id string
	r := &receiver{answer: func(p Parcel) error { id = p.ID; return nil }}
	config := quick(t)
	config.Lease, config.TempDir = 300*time.Millisecond, temp
	stop := watching(t, at.open(t, config), nil, r.receive, config)
	eventually(t, "it is received", func() bool { return r.count() == 1 && at.claims(t) == 0 })
	stop()
	if got := strings.TrimSpace(string(line)); got != id {
		t.Errorf("it was %s first and %s then", got, id)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// TestKilledAtRandom kills watchers again and again while they work. In the end
// each parcel stands in done/ once, whole, and nothing is left elsewhere.
func TestKilledAtRandom(t *testing.T) {
	t.Parallel()
	at, temp := folderPlace{t.TempDir()}, t.TempDir()
	const n = 60
	for i := range n {
		for _, ext := range []string{".shp", ".dbf", ".shx"} {
			at.put(t, fmt.Sprintf("局%d/宗地%d%s", i%2, i, ext), "content")
		}
	}
	for i := range 12 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), killEnv+"="+at.dir, killEnv+"_TEMP="+temp)
		must(t, cmd.Start())
		time.Sleep(time.Duration(40+i*13) * time.Millisecond)
		must(t, cmd.Process.Kill())
		cmd.Wait()
	}
	r := &receiver{}
	config := quick(t)
	config.Lease, config.TempDir = 300*time.Millisecond, temp
	watching(t, at.open(t, config), nil, r.receive, config)
	eventually(t, "all are done", func() bool {
		if at.claims(t) > 0 {
			return false
		}
		for path := range at.files(t) {
			if strings.Count(path, "/") == 1 {
				return false
			}
		}
		return true
	})
	count := make(map[string]int)
	for path := range stamped(at.files(t)) {
		count[path]++
	}
	for i := range n {
		for _, name := range []string{fmt.Sprintf("宗地%d.shp", i), fmt.Sprintf("宗地%d.dbf", i), fmt.Sprintf("宗地%d.shx", i), receiptName} {
			path := fmt.Sprintf("局%d/done/宗地%d.shp/%s", i%2, i, name)
			if count[path] != 1 {
				t.Errorf("%s is there %d times", path, count[path])
			}
		}
	}
	if len(count) != 4*n {
		t.Errorf("%d files, want %d", len(count), 4*n)
	}
}

// TestHostileContents: links, pipes and sockets are never read, and names never
// lead elsewhere.
func TestHostileContents(t *testing.T) {
	t.Parallel()
	at := folderPlace{t.TempDir()}
	secret := filepath.Join(t.TempDir(), "secret")
	must(t, os.WriteFile(secret, []byte("secret"), 0o600))
	at.put(t, "a/folder/ok.txt", "ok")
	link := func(target, path string) { must(t, os.Symlink(target, filepath.Join(at.dir, path))) }
	link(secret, "a/link.zip")
	link(filepath.Dir(secret), "a/linked")
	link(secret, "a/folder/link.txt")
	link(filepath.Dir(secret), "a/folder/linked")
	link(filepath.Dir(secret), "linked-sender")
	must(t, syscall.Mkfifo(filepath.Join(at.dir, "a/folder/pipe"), 0o600))
	must(t, syscall.Mkfifo(filepath.Join(at.dir, "a/pipe.zip"), 0o600))
	must(t, os.Mkdir(filepath.Join(at.dir, "a/empty"), 0o755))

	r := &receiver{}
	stop := watching(t, at.open(t, quick(t)), nil, r.receive, quick(t))
	eventually(t, "the folder is received", func() bool { return r.count() == 1 && at.claims(t) == 0 })
	time.Sleep(100 * time.Millisecond)
	stop()
	if got := r.all(); len(got) != 1 || len(got[0].Files) != 1 || got[0].Files["folder/ok.txt"] != "ok" {
		t.Errorf("received %v", got)
	}
}

// TestLinkInThePlaceOfAFile: a file that was scanned and is a link when it is read.
func TestLinkInThePlaceOfAFile(t *testing.T) {
	t.Parallel()
	at := folderPlace{t.TempDir()}
	secret := filepath.Join(t.TempDir(), "folder")
	must(t, os.Mkdir(secret, 0o700))
	must(t, os.WriteFile(filepath.Join(secret, "x"), []byte("secret"), 0o600))
	for _, what := range []string{"a/x.zip", "a/f"} {
		at.put(t, "a/x.zip", "zip...")
		at.put(t, "a/x.zip.ok", "")
		at.put(t, "a/f/x", "file..")
		at.put(t, "a/f.ok", "")
		box := at.open(t, quick(t))
		found, err := box.Scan(t.Context())
		must(t, err)
		path := filepath.Join(at.dir, what)
		must(t, os.RemoveAll(path))
		to := secret
		if strings.HasSuffix(what, ".zip") {
			to = filepath.Join(secret, "x")
		}
		must(t, os.Symlink(to, path))
		for _, p := range found {
			if "a/"+p.Name != what {
				continue
			}
			p.claim = &claim{}
			if _, err := box.Fetch(t.Context(), &p, t.TempDir()); !errors.Is(err, ErrChanged) {
				t.Errorf("%s: %v", what, err)
			}
		}
		must(t, os.Remove(path))
	}
	// done/ itself may be a link to another sender's folder.
	at.put(t, "b/x", "")
	box := at.open(t, quick(t))
	found, err := box.Scan(t.Context())
	must(t, err)
	must(t, os.Symlink("../b", filepath.Join(at.dir, "a/done")))
	for _, p := range found {
		if ok, err := box.Claim(t.Context(), &p); !ok || err != nil {
			continue
		}
		if err := box.Settle(t.Context(), &p, Outcome{Delivery: 1}); err == nil {
			t.Error("moved through a link")
		}
	}
	if entries, _ := os.ReadDir(filepath.Join(at.dir, "b")); len(entries) != 1 {
		t.Errorf("the other sender has %v", entries)
	}
}

// TestBounds: what is too large, too deep or too much is refused whole and unread.
func TestBounds(t *testing.T) {
	t.Parallel()
	eachPlace(t, func(t *testing.T, at place) {
		config := quick(t)
		config.MaxFiles, config.MaxDepth, config.MaxFile, config.MaxBytes = 20, 3, 100, 250
		at.put(t, "a/deep/1/2/3/4/x", "x")
		for i := range 25 {
			at.put(t, fmt.Sprintf("a/many/%d", i), "x")
		}
		at.put(t, "a/large.zip", strings.Repeat("x", 101))
		for i := range 3 {
			at.put(t, fmt.Sprintf("a/sum/%d", i), strings.Repeat("x", 90))
		}
		at.put(t, "a/good/1/2/x", "x")
		r := &receiver{}
		stop := watching(t, at.open(t, config), nil, r.receive, config)
		reasons := func() []string {
			var out []string
			for path, content := range stamped(at.files(t)) {
				if strings.HasSuffix(path, reasonName) {
					for _, line := range strings.Split(content, "\r\n") {
						if code, ok := strings.CutPrefix(line, "代码 / Code:    "); ok {
							out = append(out, strings.Split(path, "/")[2]+" "+code)
						}
					}
				}
			}
			slices.Sort(out)
			return out
		}
		eventually(t, "all are settled", func() bool { return r.count() == 1 && len(reasons()) == 4 })
		time.Sleep(150 * time.Millisecond)
		stop()
		want := []string{"deep dropbox-depth", "large.zip dropbox-size", "many dropbox-files", "sum dropbox-size"}
		if got := reasons(); !slices.Equal(got, want) {
			t.Errorf("refused %q, want %q", got, want)
		}
		left := at.files(t)
		if _, isFolder := at.(folderPlace); isFolder {
			for path := range left {
				if strings.Count(path, "/") == 1 || strings.HasPrefix(path, "a/many/") || strings.HasPrefix(path, "a/deep/") {
					t.Errorf("%s is left", path)
				}
			}
			return
		}
		// In S3 they stay, are not refused again by a new watcher, and are looked at
		// again once the sender has changed something.
		stop = watching(t, at.open(t, config), nil, r.receive, config)
		time.Sleep(200 * time.Millisecond)
		stop()
		if got := reasons(); !slices.Equal(got, want) {
			t.Errorf("refused again: %q", got)
		}
		at.put(t, "a/many/0", "changed")
		watching(t, at.open(t, config), nil, r.receive, config)
		eventually(t, "it is refused again", func() bool { return len(at.files(t)) == len(left)+1 })
	})
}

// TestNames: names in GBK, as FTP clients of Windows send them, and names that
// cannot be used.
func TestNames(t *testing.T) {
	t.Parallel()
	at := folderPlace{t.TempDir()}
	gbk, err := simplifiedchinese.GBK.NewEncoder().String("常德市/地类图斑.zip")
	must(t, err)
	at.put(t, gbk, "zip")
	at.put(t, "a/bad\nname.zip", "x")
	at.put(t, "a/bad\xff\xff/x", "x")
	r := &receiver{}
	stop := watching(t, at.open(t, quick(t)), nil, r.receive, quick(t))
	eventually(t, "all are settled", func() bool { return len(at.files(t)) == 6 && at.claims(t) == 0 })
	stop()
	got := r.all()
	if len(got) != 1 || got[0].Sender != "常德市" || got[0].Files["地类图斑.zip"] != "zip" {
		t.Errorf("received %v", got)
	}
	for path := range at.files(t) {
		parts := strings.Split(path, "/")
		if len(parts) < 3 || parts[1] != doneName && parts[1] != refusedName {
			t.Errorf("%q is left", path)
		}
	}
}

// TestWrittenWhileRead: a program that writes and sets the time back is found out.
func TestWrittenWhileRead(t *testing.T) {
	t.Parallel()
	at := folderPlace{t.TempDir()}
	at.put(t, "a/x.zip", strings.Repeat("x", 96<<20))
	at.put(t, "a/x.zip.ok", "")
	box := at.open(t, quick(t))
	found, err := box.Scan(t.Context())
	must(t, err)
	path, dir := filepath.Join(at.dir, "a/x.zip"), t.TempDir()
	done := make(chan error, 1)
	go func() {
		_, err := box.Fetch(context.Background(), &found[0], dir)
		done <- err
	}()
	eventually(t, "the copy begins", func() bool {
		info, err := os.Stat(filepath.Join(dir, "x.zip"))
		return err == nil && info.Size() > 0
	})
	info, err := os.Stat(path)
	must(t, err)
	w, err := os.OpenFile(path, os.O_WRONLY, 0)
	must(t, err)
	_, err = w.WriteAt([]byte("y"), 95<<20)
	must(t, errors.Join(err, w.Close(), os.Chtimes(path, time.Time{}, info.ModTime())))
	if err := <-done; !errors.Is(err, ErrChanged) {
		t.Errorf("fetch: %v", err)
	}
}

func TestOpenFolder(t *testing.T) {
	t.Parallel()
	if _, err := OpenFolder(filepath.Join(t.TempDir(), "no"), Config{}); err == nil {
		t.Error("a folder that is not there was opened")
	}
}

// TestClaimsLeftInPieces: what claims and releases leave when they are cut off
// blocks nothing.
func TestClaimsLeftInPieces(t *testing.T) {
	t.Parallel()
	at := folderPlace{t.TempDir()}
	at.put(t, "a/x.zip", "zip")
	config := quick(t)
	config.Lease = 100 * time.Millisecond
	box := at.open(t, config)
	place := digest("a", "x.zip")
	for _, path := range []string{place + "/.record-1", ".new-2/2", ".gone-3"} {
		at.put(t, filepath.Join(takenName, path), "")
	}
	r := &receiver{}
	watching(t, box, nil, r.receive, config)
	eventually(t, "it is received", func() bool { return r.count() == 1 && at.claims(t) == 0 })
}

func FuzzNames(f *testing.F) {
	for _, s := range []string{"地类图斑.shp", "../x", "a/../b", "\xb5\xd8.zip", "x.shp.xml", "a.OK", ".shp"} {
		f.Add(s)
	}
	base := f.TempDir()
	f.Fuzz(func(t *testing.T, raw string) {
		name := decodeName(raw)
		if checkName(name) == nil {
			path := filepath.Join(base, filepath.FromSlash(name))
			if !strings.HasPrefix(path, base+"/") || !filepath.IsLocal(name) {
				t.Errorf("%q leads to %q", raw, path)
			}
		}
		if strings.ContainsAny(shorten(name, 120), "/\\\x00") || len(shorten(name, 120)) > 120 {
			t.Errorf("%q is shortened to %q", name, shorten(name, 120))
		}
		n := 0
		for _, g := range groups([]entry{{raw: raw, name: name}, {raw: raw + ".ok", name: name + ".ok"}, {raw: "d", name: "d", dir: true}}) {
			n += len(g.entries)
			if g.name == "" && name != "" {
				t.Errorf("%q makes a group without a name", name)
			}
		}
		if n > 3 {
			t.Errorf("%q is in several groups", name)
		}
		p := problem.New(problem.Invalid, "x", name, name, name)
		r := record{Problem: p, Name: name, Sender: name}
		if _, content := r.note(); len(content) == 0 {
			t.Error("no reason")
		}
	})
}
