package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"changde/postgis/postgistest"
)

// program is the command line on one database.
type program struct {
	*testing.T
	url string
}

// call runs a command line and returns its exit code, output and errors.
func (p program) call(args ...string) (code int, out, errs string) {
	p.Helper()
	var o, e bytes.Buffer
	if p.url != "" {
		args = append([]string{"--database", p.url}, args...)
	}
	code = run(p.Context(), append([]string{"--log", "error"}, args...), strings.NewReader(""), &o, &e)
	return code, o.String(), e.String()
}

// expect runs a command line that must end with the code and say the texts.
func (p program) expect(code int, says []string, args ...string) string {
	p.Helper()
	got, out, errs := p.call(args...)
	if got != code {
		p.Errorf("changde %v: exit %d, want %d\n%s%s", args, got, code, out, errs)
	}
	for _, s := range says {
		if !strings.Contains(out+errs, s) {
			p.Errorf("changde %v does not say %q:\n%s%s", args, s, out, errs)
		}
	}
	return out
}

const counties = "../../ingest/shapefile/testdata/xzq_gbk_nocpg_4546.shp"

// One delivery from the plan to the rollback, as a person types it.
func TestCommandLine(t *testing.T) {
	t.Parallel()
	p := program{t, postgistest.URL(t)}
	p.expect(0, []string{"ingest", "release", "doctor"}, "--help")
	p.expect(2, []string{"命令行有误", "--no-such-flag"}, "ingest", "--no-such-flag")
	p.expect(0, []string{"最新", "up to date"}, "migrate")

	p.expect(0, []string{"已登记", "guotu"}, "org", "add", "guotu", "市国土局")
	p.expect(2, []string{"error"}, "org", "add", "guotu", "市国土局")
	p.expect(0, []string{"市国土局"}, "org", "list")
	key := strings.TrimSpace(p.expect(0, []string{"只显示这一次"}, "key", "create", "guotu", "--label", "测试"))
	if !strings.HasPrefix(key, "cd_") {
		t.Errorf("key %q", key)
	}
	id := strings.Split(key, "_")[1]
	if out := p.expect(0, []string{id, "测试"}, "key", "list", "guotu"); strings.Contains(out, key) {
		t.Error("the list of keys shows a key")
	}
	p.expect(0, []string{"已吊销"}, "key", "revoke", id)

	p.expect(0, []string{"GB18030", "EPSG:4546", "MultiPolygon"}, "ingest", counties, "--dataset", "xzq", "--plan")
	p.expect(3, []string{"--yes"}, "ingest", counties, "--dataset", "xzq")
	p.expect(2, []string{"没有这个数据集"}, "release", "list", "xzq")
	report := filepath.Join(t.TempDir(), "report.json")
	p.expect(0, []string{"第 1 版", "release 1"}, "ingest", counties, "--dataset", "xzq", "--yes", "--title", "行政区", "--label", "name",
		"--owner", "guotu", "--sender", "guotu", "--sharing", "public", "--report", report)
	if data, err := os.ReadFile(report); err != nil || !bytes.Contains(data, []byte(`"published": 9`)) {
		t.Errorf("report %s, %v", data, err)
	}
	p.expect(0, []string{"第 2 版", "全量交付"}, "ingest", counties, "--dataset", "xzq", "--yes")
	p.expect(0, []string{"当前为第 3 版"}, "release", "rollback", "xzq", "--note", "测试回退")
	p.expect(0, []string{"测试回退", "当前"}, "release", "list", "xzq")
	p.expect(2, []string{"error"}, "release", "rollback", "xzq", "--to", "99")
	p.expect(0, []string{"行政区", "public", "市国土局"}, "dataset", "list")
	p.expect(0, []string{"已修改"}, "dataset", "set", "xzq", "--sharing", "private", "--title", "县级行政区")
	p.expect(0, []string{"县级行政区", "private"}, "dataset", "list")
	p.expect(2, []string{"column-missing"}, "dataset", "set", "xzq", "--label", "nothing")
	p.expect(0, []string{"已修改"}, "dataset", "set", "xzq", "--tile-rules", `{"rank": ["4307*"], "attributes": [{"minzoom": 8, "fields": ["adcode"]}]}`)
	p.expect(0, []string{"县级行政区", "guotu", `{"rank":["4307*"],"attributes":[{"minzoom":8,"fields":["adcode"]}]}`}, "dataset", "show", "xzq")
	p.expect(2, []string{"column-missing", "--tile-rules"}, "dataset", "set", "xzq", "--tile-rules", `{"attributes": [{"minzoom": 8, "fields": ["nothing"]}]}`)
	p.expect(2, []string{"tile-rules", "瓦片规则"}, "dataset", "set", "xzq", "--tile-rules", "rank")
	p.expect(0, []string{"已修改"}, "dataset", "set", "xzq", "--tile-rules=-")
	if out := p.expect(0, []string{"县级行政区"}, "dataset", "show", "xzq"); strings.Contains(out, "4307*") {
		t.Errorf("the rules are not removed: %s", out)
	}
	p.expect(2, []string{"没有这个数据集"}, "dataset", "show", "nothing")
	p.expect(2, []string{"没有这个数据集"}, "dataset", "set", "nothing", "--title", "x")
	p.expect(2, []string{"owner-unknown"}, "ingest", counties, "--dataset", "other", "--yes", "--owner", "nobody")
	p.expect(2, []string{"4 个数"}, "ingest", counties, "--dataset", "other", "--yes", "--box", "1,2,3")
	p.expect(2, []string{"encoding"}, "ingest", counties, "--dataset", "other", "--yes", "--encoding", "klingon")
}

// Another city is another configuration of the same program.
func TestAnotherCity(t *testing.T) {
	t.Parallel()
	p := program{t, postgistest.URL(t)}
	city := filepath.Join(t.TempDir(), "city.json")
	write := func(text string) {
		if err := os.WriteFile(city, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(`{"nameZh":"张家界市","nameEn":"Zhangjiajie","code":"430800","box":[109.6,28.7,111.4,29.9],"view":[110.4,29.1,110.6,29.2],"crs":[4545],"divisions":{}}`)
	p.expect(2, []string{"crs-contradiction"}, "--city", city, "ingest", counties, "--dataset", "xzq", "--yes", "--box", "109.6,28.7,110.0,29.0")
	p.expect(0, []string{"outside-box", "第 1 版"}, "--city", city, "ingest", counties, "--dataset", "xzq", "--yes", "--box", "110.4,28.3,112.0,30.2")
	write(`{"nameZh":"x"}`)
	p.expect(2, []string{"city-incomplete"}, "--city", city, "release", "list", "xzq")
	write(`not json`)
	p.expect(2, []string{"city-unreadable"}, "--city", city, "release", "list", "xzq")
}

// What stands in the way of dev is told in one sentence and one exit code.
func TestDevExplains(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts PostGIS")
	}
	p := program{T: t}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	p.expect(2, []string{"port-taken", "端口已被"}, "dev", "--data", folder(t), "--listen", taken.Addr().String())
	p.expect(2, []string{"database-missing"}, "serve")

	dir := folder(t)
	ctx, stop := context.WithCancel(t.Context())
	ready := &signalWriter{when: "ready", ready: make(chan struct{})}
	var errs bytes.Buffer
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"--log", "error", "dev", "--data", dir, "--listen", "127.0.0.1:0", "--no-sample"}, strings.NewReader(""), ready, &errs)
	}()
	select {
	case <-ready.ready:
	case code := <-ended:
		t.Fatalf("dev ended with %d: %s", code, &errs)
	}
	_, address, _ := strings.Cut(ready.said.String(), "ready: ")
	for major := range 2 {
		var protocols http.Protocols
		protocols.SetHTTP1(major == 0)
		protocols.SetUnencryptedHTTP2(major == 1)
		client := &http.Client{Transport: &http.Transport{Protocols: &protocols}}
		answer, err := client.Get(strings.TrimSpace(strings.SplitN(address, "\n", 2)[0]) + "/healthz")
		if err != nil {
			t.Fatal(err)
		}
		if answer.Body.Close(); answer.ProtoMajor != major+1 || answer.StatusCode != http.StatusOK {
			t.Errorf("HTTP/%d answers %s in %s", major+1, answer.Status, answer.Proto)
		}
	}
	p.expect(2, []string{"folder"}, "dev", "--data", dir, "--listen", "127.0.0.1:0")
	p.expect(0, []string{"标识"}, "--data", dir, "org", "list") // beside the running server
	stop()
	if code := <-ended; code != 0 {
		t.Errorf("stopped, dev ends with %d: %s", code, &errs)
	}
}

// folder is one that PostgreSQL's user can enter when the tests run as root.
func folder(t *testing.T) string {
	t.Helper()
	temp := t.TempDir()
	for _, d := range []string{temp, filepath.Dir(temp)} {
		if err := os.Chmod(d, 0o711); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(temp, "data")
}

// signalWriter tells when a text has been written.
type signalWriter struct {
	when  string
	said  bytes.Buffer
	ready chan struct{}
}

func (w *signalWriter) Write(p []byte) (int, error) {
	before := strings.Contains(w.said.String(), w.when)
	fmt.Fprintf(&w.said, "%s", p)
	if !before && strings.Contains(w.said.String(), w.when) {
		close(w.ready)
	}
	return len(p), nil
}
