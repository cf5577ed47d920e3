package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"changde/access"
	"changde/catalog"
	"changde/ingest"
	"changde/ingest/jobs"
)

// work runs workers beside the server, as a worker process does.
func (w *world) work(t testing.TB) {
	t.Helper()
	queue, err := jobs.NewQueue(w.pool)
	check(t, err)
	i := ingest.New(w.pool, ingest.Config{City: city, TempDir: t.TempDir(), Depot: w.depot, Enqueue: queue.Enqueue, Log: slog.New(slog.DiscardHandler)})
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- jobs.Run(ctx, w.pool, i, jobs.Config{Workers: 1, Recover: time.Second, StopTimeout: 5 * time.Second, Log: slog.New(slog.DiscardHandler)})
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("workers: %v", err)
		}
	})
}

func (a answer) number(t testing.TB, name string) int64 {
	t.Helper()
	n, ok := a.json(t)[name].(float64)
	if !ok {
		t.Fatalf("there is no number %s in %s", name, a.body)
	}
	return int64(n)
}

func (a answer) text(t testing.TB, name string) string {
	t.Helper()
	s, _ := a.json(t)[name].(string)
	return s
}

// until asks for the delivery until it is in the state.
func (w *world) until(t testing.TB, caller string, id int64, state string) answer {
	t.Helper()
	for range 300 {
		a := w.get(t, caller, fmt.Sprintf("/deliveries/%d", id))
		switch a.text(t, "state") {
		case state:
			check(t, w.catalog.Reload(t.Context()))
			return a
		case "failed", "released", "rejected", "withdrawn":
			t.Fatalf("delivery %d is %s: %s", id, a.text(t, "state"), a.body)
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("delivery %d does not become %s", id, state)
	return answer{}
}

func lines(n, from int) string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf(`{"type":"Feature","properties":{"编号":"L%d","名称":"渠%d"},"geometry":{"type":"LineString","coordinates":[[111.5,%.4f],[111.6,%.4f]]}}`, from+i, i, 29+float64(i)/1000, 29+float64(i)/1000))
	}
	return `{"type":"FeatureCollection","features":[` + strings.Join(out, ",") + `]}`
}

// key gives a caller a key of an organisation.
func (w *world) key(t testing.TB, caller, org string, role access.Role) {
	t.Helper()
	plain, _, err := w.access.CreateKey(t.Context(), org, caller, role, time.Time{})
	check(t, err)
	w.keys[caller] = plain
}

// A contributor makes a delivery, uploads it in pieces with a break between, and
// submits it; the same organisation's approver lets the next one in, by HTTP
// alone.
func TestDeliverByHTTP(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const clerk = "clerk" // of the organisation that administers the platform, without being an operator
	w.key(t, clerk, egov, access.Contributor)
	w.work(t)
	asJSON := header{"Content-Type": "application/json"}
	create := func(caller, body string) answer {
		return w.do(t, http.MethodPost, caller, "/deliveries", strings.NewReader(body), asJSON)
	}
	for caller, want := range map[string]int{anonymous: 401, reader: 403} {
		if a := create(caller, `{"dataset":"canals"}`); a.status != want {
			t.Errorf("%q delivers: status %d, want %d: %s", caller, a.status, want, a.body)
		}
	}
	for body, want := range map[string]int{`{"dataset":"Canals"}`: 400, `{`: 400, `{"x":1}`: 400, `{"mode":"all"}`: 400, `{"dataset":"projects"}`: 409} {
		if a := create(contributor, body); a.status != want {
			t.Errorf("%s: status %d, want %d: %s", body, a.status, want, a.body)
		}
	}
	a := create(contributor, `{"dataset":"canals","document":"常水〔2012〕7号","settings":{"titleZh":"渠道","businessKey":"编号","approval":"approval"}}`)
	if a.status != http.StatusCreated {
		t.Fatalf("create: %d %s", a.status, a.body)
	}
	id := a.number(t, "delivery")
	file := fmt.Sprintf("/deliveries/%d/files/%s", id, "%E6%B8%A0%E9%81%93.geojson")
	text := lines(20, 0)
	octets := func(offset string) header {
		return header{"Content-Type": "application/octet-stream", "Upload-Offset": offset}
	}
	if a := w.do(t, http.MethodPut, contributor, file, strings.NewReader(text[:100]), header{"Content-Type": "application/octet-stream"}); a.status != 200 || a.number(t, "offset") != 100 {
		t.Fatalf("put: %d %s", a.status, a.body)
	}
	if a := w.do(t, http.MethodPatch, contributor, file, strings.NewReader(text[50:]), octets("50")); a.status != http.StatusConflict {
		t.Errorf("going on at the wrong place: %d %s", a.status, a.body)
	}
	if a := w.get(t, contributor, file); a.number(t, "offset") != 100 || a.header.Get("Upload-Offset") != "100" {
		t.Errorf("arrived: %s", a.body)
	}
	files := fmt.Sprintf("/deliveries/%d/files", id)
	if a := w.get(t, contributor, files); a.status != 200 || string(a.body) != `{"files":[{"file":"渠道.geojson","offset":100}]}` {
		t.Errorf("what has arrived: %d %s", a.status, a.body)
	}
	if a := w.get(t, land, files); a.status != 404 {
		t.Errorf("a stranger lists files: %d", a.status)
	}
	w.breakOff(t, contributor, file, 100, 10_000, text[100:150])
	if a := w.get(t, contributor, files); !strings.Contains(string(a.body), `"offset":150`) {
		t.Errorf("what arrived before the client broke off: %s", a.body)
	}
	if a := w.do(t, http.MethodPatch, contributor, file, strings.NewReader(text[150:200]), octets("150")); a.status != 200 {
		t.Errorf("going on after a break: %d %s", a.status, a.body)
	}
	if a := w.do(t, http.MethodPatch, land, file, strings.NewReader(text[100:]), octets("100")); a.status != http.StatusNotFound {
		t.Errorf("a stranger uploads: %d %s", a.status, a.body)
	}
	if a := w.do(t, http.MethodPatch, contributor, file, strings.NewReader(text[200:]), octets("200")); a.status != 200 || a.number(t, "offset") != int64(len(text)) {
		t.Fatalf("patch: %d %s", a.status, a.body)
	}
	if a := w.do(t, http.MethodPut, contributor, fmt.Sprintf("/deliveries/%d/files/..%%2fx", id), strings.NewReader("x"), octets("0")); a.status != http.StatusBadRequest {
		t.Errorf("a name that climbs: %d %s", a.status, a.body)
	}
	submit := func(caller string, id int64) answer {
		return w.do(t, http.MethodPost, caller, fmt.Sprintf("/deliveries/%d/submit", id), nil)
	}
	if a := submit(contributor, id); a.status != http.StatusAccepted {
		t.Fatalf("submit: %d %s", a.status, a.body)
	}
	// The settings of a first delivery hold for it: it waits for approval.
	w.until(t, contributor, id, "awaiting")
	for caller, want := range map[string]string{reader: "[]", contributor: "[withdraw retry]", water: "[approve reject withdraw retry]", egov: "[approve reject withdraw retry]", clerk: "[]"} {
		a := w.get(t, caller, fmt.Sprintf("/deliveries/%d", id))
		if got := fmt.Sprint(a.json(t)["may"]); got != want || a.text(t, "senderName") != "市水利局" || a.text(t, "ownerName") != "市水利局" {
			t.Errorf("%q may %s, want %s: %s", caller, got, want, a.body)
		}
	}
	decide := func(caller, action string) answer {
		return w.do(t, http.MethodPost, caller, fmt.Sprintf("/deliveries/%d/decisions", id), strings.NewReader(`{"action":"`+action+`","document":"常水审〔2012〕1号","note":"属实"}`), asJSON)
	}
	for caller, want := range map[string]int{anonymous: 404, reader: 403, contributor: 403, land: 404} {
		if a := decide(caller, "approve"); a.status != want {
			t.Errorf("%q approves: status %d, want %d: %s", caller, a.status, want, a.body)
		}
	}
	if a := decide(water, "approve"); a.status != http.StatusAccepted {
		t.Fatalf("approve: %d %s", a.status, a.body)
	}
	if a = w.until(t, water, id, "released"); a.number(t, "release") != 1 {
		t.Errorf("released: %s", a.body)
	}
	if a := w.get(t, water, "/collections/canals/items?limit=1"); a.number(t, "numberMatched") != 20 {
		t.Errorf("items: %s", a.body)
	}
	// What is listed is for those it concerns.
	for caller, want := range map[string]int64{anonymous: 0, reader: 3, land: 2, egov: 5} {
		if a := w.get(t, caller, "/deliveries"); a.number(t, "numberReturned") != want {
			t.Errorf("%q sees %d deliveries, want %d", caller, a.number(t, "numberReturned"), want)
		}
	}
	if a := w.get(t, anonymous, fmt.Sprintf("/deliveries/%d/changes", id)); a.status != 404 {
		t.Errorf("anybody reads what a delivery changes: %d", a.status)
	}
	// An organisation that does not own the dataset may deliver; the owner decides.
	a = create(land, `{"dataset":"canals","mode":"append"}`)
	id = a.number(t, "delivery")
	if a := create(land, `{"dataset":"canals","settings":{"sharing":"public"}}`); a.status != http.StatusForbidden {
		t.Errorf("a stranger opens the dataset: %d %s", a.status, a.body)
	}
	if a := w.do(t, http.MethodPut, land, fmt.Sprintf("/deliveries/%d/files/a.geojson", id), strings.NewReader(lines(2, 100)), octets("0")); a.status != 200 {
		t.Fatalf("put: %d %s", a.status, a.body)
	}
	submit(land, id)
	w.until(t, land, id, "awaiting")
	a = w.get(t, water, fmt.Sprintf("/deliveries/%d/changes?limit=10", id))
	if a.number(t, "numberReturned") != 2 || !strings.Contains(string(a.body), `"kind":"added"`) {
		t.Errorf("what the delivery changes: %s", a.body)
	}
	if a := w.get(t, water, fmt.Sprintf("/deliveries/%d/changes/tiles/WebMercatorQuad/8/106/207", id)); a.status != 200 || len(a.body) == 0 {
		t.Errorf("what the delivery changes, as a tile: %d, %d bytes", a.status, len(a.body))
	}
	_, err := w.pool.Exec(t.Context(), `UPDATE changde.deliveries SET difference = difference || '{"listed": false, "dropped": true}' WHERE id = $1`, id)
	check(t, err)
	if a := w.get(t, water, fmt.Sprintf("/deliveries/%d/changes", id)); a.status != 404 || !strings.HasSuffix(a.text(t, "type"), "/difference-dropped") || !strings.Contains(a.text(t, "detail"), "/datasets/canals/differences") {
		t.Errorf("a list that is dropped: %d %s", a.status, a.body)
	}
	if a := decide(water, "reject"); a.status != http.StatusAccepted {
		t.Errorf("reject: %d %s", a.status, a.body)
	}
	w.until(t, land, id, "rejected")
}

// breakOff begins a PATCH of so many bytes, sends the part and goes away.
func (w *world) breakOff(t testing.TB, caller, path string, offset, length int, part string) {
	t.Helper()
	conn, err := net.Dial("tcp", w.server.Listener.Addr().String())
	check(t, err)
	_, err = fmt.Fprintf(conn, "PATCH %s HTTP/1.1\r\nHost: x\r\nX-API-Key: %s\r\nContent-Type: application/octet-stream\r\nUpload-Offset: %d\r\nContent-Length: %d\r\n\r\n%s",
		path, w.keys[caller], offset, length, part)
	check(t, err)
	for range 100 {
		if w.busy.Load() > 0 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	check(t, conn.Close())
	for range 500 {
		if w.busy.Load() == 0 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("the broken upload goes on")
}

// Who asks is told what their key may do; a delivery that waits for somebody to name
// its datasets says what was found, and nobody watches it for nothing.
func TestDeliveryThatWaitsForNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const clerk = "clerk" // of the organisation that administers the platform, without being an operator
	w.key(t, clerk, egov, access.Contributor)
	w.work(t)
	for caller, want := range map[string]string{anonymous: "<nil> false", reader: "reader false", contributor: "contributor false", water: "approver false", egov: "approver true", clerk: "contributor false"} {
		principal := w.get(t, caller, "/?f=json").json(t)["principal"].(map[string]any)
		if got := fmt.Sprint(principal["role"], " ", principal["operator"]); got != want {
			t.Errorf("%q is told %s, want %s", caller, got, want)
		}
	}
	a := w.do(t, http.MethodPost, contributor, "/deliveries", strings.NewReader(`{}`), header{"Content-Type": "application/json"})
	id := a.number(t, "delivery")
	events := func() {
		t.Helper()
		began := time.Now()
		if a := w.get(t, contributor, fmt.Sprintf("/deliveries/%d/events", id)); a.status != 200 || !strings.HasPrefix(string(a.body), "data: ") || time.Since(began) > 5*time.Second {
			t.Errorf("watching: %d %q after %v", a.status, a.body, time.Since(began))
		}
	}
	events()
	if a := w.do(t, http.MethodPut, contributor, fmt.Sprintf("/deliveries/%d/files/ditch.geojson", id), strings.NewReader(lines(3, 0)), header{"Content-Type": "application/octet-stream"}); a.status != 200 {
		t.Fatalf("put: %d %s", a.status, a.body)
	}
	w.do(t, http.MethodPost, contributor, fmt.Sprintf("/deliveries/%d/submit", id), nil)
	a = w.until(t, contributor, id, "inspected")
	plan := a.json(t)["plan"].(map[string]any)
	list, _ := plan["assignments"].([]any)
	if len(list) != 1 || fmt.Sprint(list[0].(map[string]any)["layers"]) != "[ditch]" || list[0].(map[string]any)["rows"] != 3.0 {
		t.Errorf("what was found: %s", a.body)
	}
	events()
}

// A watcher of a delivery is told each state as it comes, and then let go.
func TestWatchADelivery(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.server.URL+"/deliveries/2/events", nil)
	check(t, err)
	request.Header.Set("X-API-Key", w.keys[water])
	response, err := http.DefaultClient.Do(request)
	check(t, err)
	defer response.Body.Close()
	if got := response.Header.Get("Content-Type"); got != "text/event-stream" || response.StatusCode != 200 {
		t.Fatalf("status %d, %s", response.StatusCode, got)
	}
	all, err := io.ReadAll(bufio.NewReader(response.Body))
	check(t, err)
	data, ok := strings.CutPrefix(strings.TrimSpace(string(all)), "data: ")
	var event struct{ State string }
	if !ok || json.Unmarshal([]byte(data), &event) != nil || event.State != "released" {
		t.Errorf("told %q", all)
	}
	if a := w.get(t, land, "/deliveries/2/events"); a.status != 404 {
		t.Errorf("a stranger watches: %d", a.status)
	}
}

// Releases change in place: the feed tells each change, a feature its versions,
// and every state can be asked for again by release and by time.
func TestVersionsOverHTTP(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.get(t, water, "/collections/wells/items/7")
	between := time.Now()
	time.Sleep(10 * time.Millisecond)
	// The next file has one well less and the others a new name.
	w.deliver(t, ingest.Request{Files: []string{changedWells(t)}, Dataset: "wells", Sender: water, Document: "常水〔2012〕9号", Note: "年度更新"})
	current := w.get(t, water, "/collections/wells/items/7")
	if string(first.body) == string(current.body) || current.text(t, "collection") != "wells" {
		t.Fatalf("well 7 is the same: %s", current.body)
	}
	name := func(a answer) string {
		return a.json(t)["properties"].(map[string]any)["名称"].(string)
	}
	when := between.UTC().Format("2006-01-02T15:04:05.999999Z")
	for query, want := range map[string]string{"": "改名", "?release=2": "改名", "?release=1": name(first), "?as-of=" + when: name(first)} {
		if a := w.get(t, water, "/collections/wells/items/7"+query); name(a) != want {
			t.Errorf("well 7 %s is %q, want %q", query, name(a), want)
		}
	}
	if a := w.get(t, water, "/collections/wells/items?limit=1000&as-of="+when); a.number(t, "numberMatched") != wellCount || a.number(t, "release") != 1 {
		t.Errorf("as of then: %d wells of release %d", a.number(t, "numberMatched"), a.number(t, "release"))
	}
	for query, want := range map[string]int{"?as-of=1999-01-01": 404, "?as-of=then": 400, "?as-of=" + when + "&release=1": 400} {
		if a := w.get(t, water, "/collections/wells/items"+query); a.status != want {
			t.Errorf("%s: status %d, want %d", query, a.status, want)
		}
	}
	// A dataset without a time column of its own is asked by datetime too.
	if a := w.get(t, anonymous, "/collections/counties/items?limit=20&datetime="+when); a.number(t, "numberReturned") != countyRows {
		t.Errorf("counties then: %s", a.body)
	}

	a := w.get(t, water, "/collections/wells/changes?since=1&limit=1")
	if a.number(t, "revision") != 2 || !strings.Contains(string(a.body), `"more":true`) || !strings.Contains(string(a.body), `"op":"update","fid":7`) {
		t.Errorf("changes: %s", a.body)
	}
	a = w.get(t, water, "/collections/wells/changes?since="+a.text(t, "since"))
	if !strings.Contains(string(a.body), `{"revision":2,"op":"delete","fid":9,"feature":null}`) || !strings.Contains(string(a.body), `"op":"insert","fid":138`) || !strings.Contains(string(a.body), `"more":false`) {
		t.Errorf("more changes: %s", a.body)
	}
	if a = w.get(t, water, "/collections/wells/changes?since="+a.text(t, "since")); !strings.Contains(string(a.body), `"changes":[]`) {
		t.Errorf("no more changes: %s", a.body)
	}
	for query, want := range map[string]int{"": 400, "?since=0": 409, "?since=99": 400, "?since=x": 400} {
		if a := w.get(t, water, "/collections/wells/changes"+query); a.status != want {
			t.Errorf("changes%s: status %d, want %d: %s", query, a.status, want, a.body)
		}
	}

	a = w.get(t, water, "/collections/wells/items/7/history")
	versions := a.json(t)["versions"].([]any)
	if len(versions) != 2 {
		t.Fatalf("history: %s", a.body)
	}
	last := versions[1].(map[string]any)
	if last["document"] != "常水〔2012〕9号" || last["note"] != "年度更新" || last["revision"] != 2.0 || versions[0].(map[string]any)["until"] != 2.0 {
		t.Errorf("history: %s", a.body)
	}
	if a := w.get(t, water, "/collections/wells/items/9/history"); a.status != 200 {
		t.Errorf("history of a feature that is gone: %d", a.status)
	}
	if a := w.get(t, water, "/collections/wells/items/9999/history"); a.status != 404 {
		t.Errorf("history of nothing: %d", a.status)
	}
	if a := w.get(t, anonymous, "/collections/wells/items/7/history"); a.status != 404 {
		t.Errorf("history for anybody: %d", a.status)
	}

	a = w.get(t, water, "/datasets/wells/differences?from=1&to=2")
	d := a.json(t)["difference"].(map[string]any)
	if d["added"] != 1.0 || d["removed"] != 1.0 || d["changed"] != 1.0 || d["unchanged"] != float64(wellCount-2) {
		t.Errorf("difference: %s", a.body)
	}
	if list := a.json(t)["features"].([]any); len(list) != 3 || !strings.Contains(string(a.body), `{"kind":"removed","fid":9,"key":"W00009"}`) {
		t.Errorf("differing features: %s", a.body)
	}
}

// changedWells are the wells with another name for number 7, without number 9 and
// with one more.
func changedWells(t testing.TB) string {
	t.Helper()
	body, err := os.ReadFile(wells(t, wellCount+1, 0))
	check(t, err)
	var c map[string]any
	check(t, json.Unmarshal(body, &c))
	list := c["features"].([]any)
	list[6].(map[string]any)["properties"].(map[string]any)["名称"] = "改名"
	c["features"] = slices.Delete(list, 8, 9)
	body, err = json.Marshal(c)
	check(t, err)
	path := filepath.Join(t.TempDir(), "wells.geojson")
	check(t, os.WriteFile(path, body, 0o600))
	return path
}

// History spans contents: a row that gave way to other fields and came back by a
// rollback is a version each time. What was private stays unseen in feed and history.
func TestHistorySpansRollbacksAndSharing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	body, err := os.ReadFile(wells(t, wellCount, 0))
	check(t, err)
	path := filepath.Join(t.TempDir(), "wells.geojson")
	check(t, os.WriteFile(path, []byte(strings.ReplaceAll(string(body), `"名称"`, `"井名"`)), 0o600))
	w.deliver(t, ingest.Request{Files: []string{path}, Dataset: "wells", Sender: water, Settings: ingest.Settings{Label: "编号"}})
	_, err = w.ingester.Rollback(t.Context(), "wells", 1, ingest.Decider{Admin: true, Note: "误发"})
	check(t, err)
	check(t, w.catalog.Reload(t.Context()))
	history := func(caller string) string {
		var out []string
		a := w.get(t, caller, "/collections/wells/items/7/history")
		for _, v := range a.json(t)["versions"].([]any) {
			m := v.(map[string]any)
			out = append(out, fmt.Sprint(m["revision"], "–", m["until"], " ", m["kind"]))
		}
		return strings.Join(out, ", ")
	}
	if got, want := history(water), "1–2 release, 2–3 release, 3–<nil> rollback"; got != want {
		t.Errorf("history is %s, want %s", got, want)
	}
	check(t, w.ingester.Describe(t.Context(), "wells", ingest.Settings{Sharing: catalog.Private}))
	w.deliver(t, ingest.Request{Files: []string{changedWells(t)}, Dataset: "wells", Sender: water})
	check(t, w.ingester.Describe(t.Context(), "wells", ingest.Settings{Sharing: catalog.Internal}))
	w.deliver(t, ingest.Request{Files: []string{wells(t, wellCount, 0)}, Dataset: "wells", Sender: water})
	mine, others := history(water), history(land)
	if strings.Count(mine, ",") != 4 || strings.Count(others, ",") != 3 {
		t.Errorf("the owner sees %s, another organisation %s", mine, others)
	}
	if a := w.get(t, land, "/collections/wells/changes?since=3"); a.status != 409 {
		t.Errorf("the feed across a private state: %d %s", a.status, a.body)
	}
	if a := w.get(t, water, "/collections/wells/changes?since=3"); a.status != 200 {
		t.Errorf("the owner's feed: %d %s", a.status, a.body)
	}
}
