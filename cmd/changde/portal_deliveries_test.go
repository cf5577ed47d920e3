package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"changde/postgis/postgistest"
)

// TestPortalDeliveries drives the pages of deliveries and releases in a real
// browser against the whole program with its workers: what waits is approved,
// what is uploaded is released, and releases are compared and read again. What
// the console says in a part fails it.
func TestPortalDeliveries(t *testing.T) {
	if testing.Short() {
		t.Skip("starts PostGIS and a browser")
	}
	t.Parallel()
	chrome := findBrowser(t)
	o := startOffice(t)
	b := startBrowser(t, chrome)

	t.Run("without a key", func(t *testing.T) { testDeliveriesWithoutKey(t, o, b) })
	t.Run("list", func(t *testing.T) { testDeliveryList(t, o, b) })
	t.Run("not offered", func(t *testing.T) { testDecisionNotOffered(t, o, b) })
	t.Run("approve", func(t *testing.T) { testApprove(t, o, b) })
	t.Run("releases", func(t *testing.T) { testReleases(t, o, b) })
	t.Run("history", func(t *testing.T) { testHistory(t, o, b) })
	t.Run("upload", func(t *testing.T) { testUpload(t, o, b) })
	t.Run("upload again", func(t *testing.T) { testUploadAgain(t, o, b) })
	t.Run("phone", func(t *testing.T) { testDeliveriesOnPhone(t, o, b) })
}

// office is the running program with two organisations and a delivery that waits.
type office struct {
	portal
	owner    string // key of an approver of the owner
	other    string // key of a contributor of another organisation
	awaiting int    // the delivery
}

// plots are 24 square parcels; in the second edition one is gone, one has another
// use, one has moved and one is new.
func plots(second bool) []byte {
	var b bytes.Buffer
	b.WriteString(`{"type":"FeatureCollection","features":[`)
	n := 24
	if second {
		n = 25
	}
	comma := ""
	for i := range n {
		if second && i == 3 {
			continue
		}
		x, y, use := 111.69+0.002*float64(i%6), 29.03+0.002*float64(i/6), []string{"R2", "B1", "G1"}[i%3]
		if second && i == 5 {
			x += 0.0003
		}
		if second && i == 7 {
			use = "A3"
		}
		fmt.Fprintf(&b, `%s{"type":"Feature","properties":{"code":"P%03d","use":"%s","name":"地块%d"},"geometry":{"type":"Polygon","coordinates":[[[%.6f,%.6f],[%.6f,%.6f],[%.6f,%.6f],[%.6f,%.6f],[%.6f,%.6f]]]}}`,
			comma, i, use, i, x, y, x+0.0015, y, x+0.0015, y+0.0015, x, y+0.0015, x, y)
		comma = ","
	}
	b.WriteString("]}")
	return b.Bytes()
}

func startOffice(t *testing.T) office {
	t.Helper()
	p := program{t, postgistest.URL(t)}
	dir := folder(t)
	for _, id := range []string{"guihua", "jiaotong"} {
		p.expect(0, nil, "org", "add", id, map[string]string{"guihua": "市规划局", "jiaotong": "市交通局"}[id])
	}
	o := office{
		owner: strings.TrimSpace(p.expect(0, nil, "key", "create", "guihua", "--role", "approver")),
		other: strings.TrimSpace(p.expect(0, nil, "key", "create", "jiaotong", "--role", "contributor")),
	}
	file := filepath.Join(t.TempDir(), "plots.geojson")
	if err := os.WriteFile(file, plots(false), 0o644); err != nil {
		t.Fatal(err)
	}
	p.expect(0, []string{"第 1 版"}, "ingest", file, "--dataset", "plots", "--yes", "--title", "规划地块", "--owner", "guihua", "--sender", "guihua",
		"--business-key", "code", "--label", "name", "--class", "use", "--sharing", "public")

	ctx, stop := context.WithCancel(t.Context())
	ready := &signalWriter{when: "ready: http", ready: make(chan struct{})}
	var errs bytes.Buffer
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"--log", "error", "--database", p.url, "dev", "--data", dir, "--listen", "127.0.0.1:0", "--no-sample"}, strings.NewReader(""), ready, &errs)
	}()
	select {
	case <-ready.ready:
	case code := <-ended:
		t.Fatalf("dev ended with %d: %s", code, &errs)
	}
	t.Cleanup(func() {
		stop()
		if code := <-ended; code != 0 {
			t.Errorf("dev ended with %d: %s", code, &errs)
		}
	})
	o.url = regexp.MustCompile(`http://127\.0\.0\.1:\d+`).FindString(ready.said.String())

	o.awaiting = o.deliver(t, o.other, "plots.geojson", plots(true), map[string]any{"dataset": "plots", "document": "常交函〔2012〕7号", "note": "道路调整"})
	return o
}

// deliver makes a delivery past the page, and submits it when it has a file.
func (o office) deliver(t *testing.T, key, name string, content []byte, request map[string]any) int {
	t.Helper()
	body, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	var made struct {
		Delivery int `json:"delivery"`
	}
	o.call(t, http.MethodPost, "/deliveries", key, body, &made)
	if name != "" {
		at := fmt.Sprintf("/deliveries/%d", made.Delivery)
		o.call(t, http.MethodPut, at+"/files/"+name, key, content, nil)
		o.call(t, http.MethodPost, at+"/submit", key, nil, nil)
	}
	return made.Delivery
}

// call asks the API past the page; anything but success fails the test.
func (o office) call(t *testing.T, method, path, key string, body []byte, to any, header ...string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, o.url+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-API-Key", key)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode >= 300 {
		t.Fatalf("%s %s: %s %v\n%s", method, path, answer.Status, err, text)
	}
	if to != nil {
		if err := json.Unmarshal(text, to); err != nil {
			t.Fatalf("%s %s: %v\n%s", method, path, err, text)
		}
	}
}

// visit opens a page of the portal with a key.
func (o office) visit(t *testing.T, browser context.Context, key, at string, width, height int64) *page {
	t.Helper()
	page := open(t, browser, o.url+"/"+at, width, height)
	page.click(".key > button")
	page.click(".key-form input")
	page.do(chromedp.KeyEvent(key + "\r"))
	page.wait(`document.querySelector('.who')`)
	return page
}

// fill writes into a field as a person does.
func (p *page) fill(selector, text string) {
	p.t.Helper()
	p.click(selector)
	p.do(chromedp.KeyEvent(text))
}

// home fails the test for a request that left the server.
func (p *page) home(url string) {
	p.t.Helper()
	if out := eval[[]string](p, fmt.Sprintf(`performance.getEntriesByType('resource').map((r) => r.name).filter((n) => !n.startsWith(%q) && !n.startsWith('blob:') && !n.startsWith('data:'))`, url)); len(out) > 0 {
		p.t.Errorf("the page asks other hosts: %q", out)
	}
}

// accessible fails the test for what keeps people from using the page: controls
// without a name, ids given twice, a tab order of its own, and text that is hard
// to tell from its ground (WCAG 2.2: 1.4.3, 2.4.3, 4.1.2).
func (p *page) accessible() {
	p.t.Helper()
	for _, fault := range eval[[]string](p, accessibility) {
		p.t.Error("accessibility:", fault)
	}
}

const accessibility = `(() => {
	const faults = [], seen = (e) => e.getClientRects().length > 0 && e.checkVisibility({ visibilityProperty: true });
	const say = (what, e) => faults.push(what + ': ' + e.outerHTML.slice(0, 140));
	const text = (e) => (e?.innerText ?? '').trim();
	for (const e of document.querySelectorAll('button, a, input, select, textarea, summary, [role=region], progress')) {
		if (!seen(e)) continue;
		const by = e.getAttribute('aria-labelledby');
		const name = e.getAttribute('aria-label') || (by && text(document.getElementById(by))) || (e.labels?.length ? text(e.labels[0]) : '') || (/^(BUTTON|A|SUMMARY)$/.test(e.tagName) ? text(e) : '') || e.title;
		if (!name) say('no name', e);
	}
	const ids = [...document.querySelectorAll('[id]')].map((e) => e.id);
	for (const id of new Set(ids.filter((id, i) => ids.indexOf(id) !== i))) faults.push('id twice: ' + id);
	for (const e of document.querySelectorAll('[tabindex]')) if (e.tabIndex > 0) say('tabindex', e);
	if (document.querySelectorAll('h1').length > 1) faults.push('more than one h1');
	const rgb = (c) => (c.match(/[\d.]+/g) ?? []).map(Number);
	const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4).reduce((s, v, i) => s + v * [0.2126, 0.7152, 0.0722][i], 0);
	const walker = document.createTreeWalker(document.querySelector('.side'), NodeFilter.SHOW_TEXT);
	const told = new Set();
	for (let n; (n = walker.nextNode());) {
		const e = n.parentElement;
		if (!n.textContent.trim() || !seen(e) || e.closest('[aria-hidden=true], :disabled, option')) continue;
		let ground = e, bg = [0, 0, 0, 0];
		for (; ground; ground = ground.parentElement) {
			bg = rgb(getComputedStyle(ground).backgroundColor);
			if (bg.length === 3 || bg[3] === 1) break;
		}
		if (!ground) continue;
		const style = getComputedStyle(e), a = light(rgb(style.color)), b = light(bg);
		const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
		const key = style.color + bg;
		if (ratio < (parseFloat(style.fontSize) >= 24 ? 3 : 4.5) && !told.has(key)) { told.add(key); say('contrast ' + ratio.toFixed(2), e); }
	}
	return faults;
})()`

func testDeliveriesWithoutKey(t *testing.T, o office, browser context.Context) {
	page := open(t, browser, o.url+"/#/deliveries", 1280, 800)
	page.wait(`document.querySelector('.sign-in-first')`)
	if got := page.text(".sign-in-first"); !strings.Contains(got, "单位密钥") {
		t.Errorf("without a key the page says %q", got)
	}
	page.accessible()
	page.quiet()
}

func testDeliveryList(t *testing.T, o office, browser context.Context) {
	for range 55 { // more than a page of the list
		o.deliver(t, o.other, "", nil, map[string]any{"dataset": "wells"})
	}
	page := o.visit(t, browser, o.other, "#/deliveries", 1280, 800)
	page.wait(`document.querySelectorAll('[data-delivery]').length === 50`)
	numbers := `[...document.querySelectorAll('tr[data-delivery]')].map((e) => Number(e.dataset.delivery))`
	if !eval[bool](page, `(() => { const n = `+numbers+`; return n.every((v, i) => i === 0 || v < n[i - 1]) })()`) {
		t.Error("the newest deliveries do not come first")
	}
	page.click(".deliveries > .more")
	page.wait(`document.querySelectorAll('[data-delivery]').length === 56`)
	page.wait(`!document.querySelector('.deliveries > .more')`)
	row := fmt.Sprintf(`tr[data-delivery="%d"]`, o.awaiting)
	page.wait(fmt.Sprintf(`document.querySelector('%s .state-badge.awaiting')`, row))
	text := page.text(row)
	for _, want := range []string{"待审批", "规划地块", "新增 1", "删除 1", "变更 2", "全量", "plots.geojson", "常交函〔2012〕7号", "24", "市交通局"} {
		if !strings.Contains(text, want) {
			t.Errorf("the row lacks %q:\n%s", want, text)
		}
	}
	page.shot("list")
	page.accessible()

	// Narrowed by what it is and to what it goes; the address says so.
	choose := func(name, value string) {
		eval[bool](page, fmt.Sprintf(`(() => { const e = document.querySelector('select[name=%s]'); e.value = %q; e.dispatchEvent(new Event('change', { bubbles: true })); return true })()`, name, value))
	}
	choose("state", "awaiting")
	page.wait(`document.querySelectorAll('[data-delivery]').length === 1`)
	if hash := eval[string](page, `location.hash`); !strings.HasPrefix(hash, "#/deliveries&state=awaiting") {
		t.Errorf("the address is %q", hash)
	}
	choose("dataset", "wells")
	page.wait(`document.querySelector('.deliveries .empty')`)
	eval[bool](page, `(history.back(), true)`)
	page.wait(`document.querySelectorAll('[data-delivery]').length === 1`)

	// With the keyboard alone.
	eval[bool](page, `(document.querySelector('.row-link').focus(), true)`)
	page.do(chromedp.KeyEvent("\r"))
	page.wait(fmt.Sprintf(`document.querySelector('article.delivery[data-delivery="%d"]')`, o.awaiting))
	page.home(o.url)
	page.quiet()
}

// Who may not decide is not offered to; the API refuses it all the same.
func testDecisionNotOffered(t *testing.T, o office, browser context.Context) {
	page := o.visit(t, browser, o.other, fmt.Sprintf("#/deliveries/%d", o.awaiting), 1280, 800)
	page.wait(fmt.Sprintf(`document.querySelector('article.delivery[data-delivery="%d"]')`, o.awaiting))
	page.wait(`document.querySelector('[data-action=withdraw]')`)
	if n := eval[int](page, `document.querySelectorAll('[data-action=approve], [data-action=reject]').length`); n != 0 {
		t.Errorf("%d decisions are offered to the sender that are the owner's", n)
	}
	page.quiet()
}

func testApprove(t *testing.T, o office, browser context.Context) {
	var before struct {
		Difference struct {
			ZH string `json:"zh"`
		} `json:"difference"`
	}
	at := fmt.Sprintf("/deliveries/%d", o.awaiting)
	o.call(t, http.MethodGet, at, o.owner, nil, &before)
	page := o.visit(t, browser, o.owner, "#"+at, 1280, 800)
	page.wait(`document.querySelectorAll('[data-change]').length === 4`)
	page.wait(`window.__portal.map !== null`)
	eval[bool](page, `window.__portal.idle()`)
	if got := page.text(".sentence"); got != before.Difference.ZH || got == "" {
		t.Errorf("the page sums up %q, the API %q", got, before.Difference.ZH)
	}
	// By class: one R2 came (P024) and one went (P003), A3 is new and B1 has one less.
	for class, want := range map[string]string{"A3": "0 1 +1", "B1": "8 7 −1"} {
		cells := eval[string](page, fmt.Sprintf(`[...([...document.querySelectorAll('[data-part=difference] tbody tr')].find((r) => r.innerText.startsWith(%q))?.querySelectorAll('td') ?? [])].slice(0, 3).map((c) => c.innerText).join(' ')`, class))
		if cells != want {
			t.Errorf("class %s: %q, want %q", class, cells, want)
		}
	}
	kinds := eval[map[string]int](page, `(() => { const drawn = window.__portal.map.queryRenderedFeatures().filter((f) => f.source === '-changes'); return Object.fromEntries(['added', 'removed', 'changed'].map((k) => [k, new Set(drawn.filter((f) => f.properties.kind === k).map((f) => f.id)).size])) })()`)
	if kinds["added"] != 1 || kinds["removed"] != 1 || kinds["changed"] != 2 {
		t.Errorf("the map shows %v, want 1 added, 1 removed, 2 changed", kinds)
	}
	if got := page.text(".overlay-legend"); !strings.Contains(got, "新增") || !strings.Contains(got, "删除") || !strings.Contains(got, "变更") {
		t.Errorf("the legend says %q", got)
	}
	page.shot("waiting")
	page.accessible()

	// A row and its shape are picked together, from either side.
	page.click(`[data-kind=removed] button`)
	page.wait(`document.querySelector('[data-kind=removed][aria-current=true]') && window.__portal.map.querySourceFeatures('-selection').length > 0 && !window.__portal.map.isMoving()`)
	eval[bool](page, `window.__portal.idle()`)
	page.click(".overlay-legend button")
	page.wait(`!window.__portal.map.isMoving()`)
	eval[bool](page, `window.__portal.idle()`)
	spot := eval[struct{ X, Y float64 }](page, `window.__portal.screen(111.69 + 0.002 + 0.0007, 29.032 + 0.0007)`) // P007
	page.do(chromedp.MouseClickXY(spot.X, spot.Y))
	page.wait(`document.querySelector('[data-change][aria-current=true]')?.innerText.includes('P007')`)

	page.click(`[data-action=approve]`)
	page.wait(`document.activeElement.name === 'document'`)
	if got := page.text(".confirmation blockquote"); got != before.Difference.ZH {
		t.Errorf("the confirmation repeats %q", got)
	}
	page.do(chromedp.KeyEvent("常规复〔2012〕9号"))
	page.fill(".confirmation textarea", "同意")
	page.shot("confirm")
	page.click(".confirmation [type=submit]")
	page.wait(`document.querySelector('.delivery')?.dataset.state === 'released'`)
	if got := page.text("[data-part=decisions]"); !strings.Contains(got, "常规复〔2012〕9号") || !strings.Contains(got, "同意") || !strings.Contains(got, "市规划局") {
		t.Errorf("the decisions are %q", got)
	}
	page.shot("released")
	var after struct {
		State     string `json:"state"`
		Release   int    `json:"release"`
		Decisions []struct {
			Document string `json:"document"`
		} `json:"decisions"`
	}
	o.call(t, http.MethodGet, at, o.owner, nil, &after)
	if after.State != "released" || after.Release != 2 || len(after.Decisions) != 1 || after.Decisions[0].Document != "常规复〔2012〕9号" {
		t.Errorf("the API has %+v", after)
	}
	if eval[bool](page, fmt.Sprintf(`performance.getEntriesByType('resource').some((r) => r.name.includes(%q)) || location.href.includes(%q)`, o.owner, o.owner)) {
		t.Error("the key is in an address")
	}
	page.home(o.url)
	page.quiet()
}

func testReleases(t *testing.T, o office, browser context.Context) {
	page := open(t, browser, o.url+"/#/datasets/plots", 1280, 800) // releases of what is public need no key
	page.wait(`document.querySelectorAll('[data-release]').length === 2`)
	page.click("[data-part=compare] .primary")
	page.wait(`document.querySelectorAll('[data-part=compare] tr[data-kind]').length === 4`)
	if got := page.text("[data-part=compare] .sentence"); !strings.Contains(got, "新增 1，删除 1，变更 2") {
		t.Errorf("the releases differ by %q", got)
	}
	if hash := eval[string](page, `location.hash`); !strings.HasPrefix(hash, "#/datasets/plots&from=1&to=2") {
		t.Errorf("the address is %q", hash)
	}
	page.wait(`window.__portal.map !== null`)
	page.click("[data-part=compare] tr[data-kind=removed] button")
	page.wait(`window.__portal.map.querySourceFeatures('-selection').length > 0`)

	page.click(`[data-release="1"] button`)
	page.wait(`document.querySelector('.as-of')`)
	page.wait(`window.__portal.rendered('plots') === 24 && !window.__portal.map.isMoving()`)
	eval[bool](page, `window.__portal.idle()`)
	// The parcel that release 2 lacks is there, and says of which release it is.
	if got := page.text(".as-of"); !strings.Contains(got, "规划地块") || !strings.Contains(got, "第 1 版") {
		t.Errorf("the map says %q of the release", got)
	}
	spot := eval[struct{ X, Y float64 }](page, `window.__portal.screen(111.69 + 3 * 0.002 + 0.0007, 29.03 + 0.0007)`)
	page.do(chromedp.MouseClickXY(spot.X, spot.Y))
	page.wait(`document.querySelector('.feature td[data-field=code]')?.innerText === 'P003'`)
	if got := page.text(".feature .release"); got != "第 1 版" {
		t.Errorf("the feature is of %q", got)
	}
	page.shot("as-of")
	if hash := eval[string](page, `location.hash`); !strings.Contains(hash, "release=plots/1") {
		t.Errorf("the address %q lacks the release", hash)
	}
	page.click(".as-of button")
	page.wait(`!document.querySelector('.as-of')`)
	eval[bool](page, `window.__portal.idle()`)
	page.wait(`window.__portal.rendered('plots') === 24`)
	if n := eval[int](page, `window.__portal.map.queryRenderedFeatures().filter((f) => f.source === 'plots' && f.properties.code === 'P003').length`); n != 0 {
		t.Error("the current release still shows what it lacks")
	}
	page.accessible()
	page.home(o.url)
	page.quiet()
}

func testHistory(t *testing.T, o office, browser context.Context) {
	var items struct {
		Features []struct {
			ID         int64          `json:"id"`
			Properties map[string]any `json:"properties"`
		} `json:"features"`
	}
	o.get(t, "/collections/plots/items?limit=100", &items)
	var fid int64
	for _, f := range items.Features {
		if f.Properties["code"] == "P007" {
			fid = f.ID
		}
	}
	page := open(t, browser, fmt.Sprintf("%s/#15/29.033/111.693&layers=plots&feature=plots/%d", o.url, fid), 1280, 800)
	page.wait(`document.querySelector('.history summary')`)
	page.click(".history summary")
	page.wait(`document.querySelectorAll('.history li').length === 2`)
	newest := page.text(".history li:first-child")
	for _, want := range []string{"至今", "第 2 版", "市规划局", "常规复〔2012〕9号", "B1 → A3"} {
		if !strings.Contains(newest, want) {
			t.Errorf("the newest version lacks %q:\n%s", want, newest)
		}
	}
	if oldest := page.text(".history li:last-child"); !strings.Contains(oldest, "首次出现") {
		t.Errorf("the first version says %q", oldest)
	}
	page.click(".history li:last-child button")
	page.wait(`document.querySelector('.history li:last-child [aria-pressed=true]')`)
	page.shot("history")
	page.accessible()
	page.quiet()
}

func testUpload(t *testing.T, o office, browser context.Context) {
	file := filepath.Join(t.TempDir(), "水井.geojson")
	if err := os.WriteFile(file, plots(false), 0o644); err != nil {
		t.Fatal(err)
	}
	page := o.visit(t, browser, o.owner, "#/deliveries/new", 1280, 800)
	page.click(".deliver-form [type=submit]")
	page.wait(`document.querySelector('.deliver-form .failure')?.innerText.includes('请选择文件')`)
	page.do(chromedp.SetUploadFiles(`input[type=file]`, []string{file}))
	page.wait(`document.querySelector('.upload-files .file')?.innerText === '水井.geojson'`)
	page.fill("[name=dataset]", "wells_2012")
	page.wait(`document.querySelector('#dataset-help').innerText.includes('wells_2012')`)
	page.fill(`[name="settings.titleZh"]`, "水井")
	page.fill("[name=document]", "常规函〔2012〕20号")
	page.shot("form")
	page.accessible()
	page.click(".deliver-form [type=submit]")
	page.wait(`document.querySelector('.delivery')?.dataset.state === 'released'`)
	page.shot("uploaded")
	id := eval[int](page, `Number(document.querySelector('.delivery').dataset.delivery)`)
	var d struct {
		Release   int      `json:"release"`
		Published int      `json:"published"`
		Files     []string `json:"files"`
		Document  string   `json:"document"`
	}
	o.call(t, http.MethodGet, fmt.Sprintf("/deliveries/%d", id), o.owner, nil, &d)
	if d.Release != 1 || d.Published != 24 || len(d.Files) != 1 || d.Files[0] != "水井.geojson" || d.Document != "常规函〔2012〕20号" {
		t.Errorf("the delivery is %+v", d)
	}
	var items struct {
		NumberMatched int `json:"numberMatched"`
	}
	o.call(t, http.MethodGet, "/collections/wells_2012/items?limit=1", o.owner, nil, &items)
	if items.NumberMatched != 24 {
		t.Errorf("the release has %d features, want 24", items.NumberMatched)
	}
	// The catalogue of the page knows the dataset without being loaded again.
	page.wait(`document.querySelector('.delivery h1').innerText.includes('水井')`)
	// A report can be kept: the file's content comes with the key, not by a bare link.
	page.wait(`document.querySelector('[data-report=json]')`)
	if got := eval[string](page, `(() => { const made = URL.createObjectURL.bind(URL); return new Promise((done) => { URL.createObjectURL = (b) => { void b.text().then((x) => done(String(JSON.parse(x).delivery))); return made(b) }; document.querySelector('[data-report=json]').click() }) })()`); got != fmt.Sprint(id) {
		t.Errorf("the report is of delivery %q, want %d", got, id)
	}
	page.home(o.url)
	page.quiet()
}

// An upload that broke off goes on where it was, with the file chosen again.
func testUploadAgain(t *testing.T, o office, browser context.Context) {
	content := plots(true)
	file := filepath.Join(t.TempDir(), "half.geojson")
	if err := os.WriteFile(file, content, 0o644); err != nil {
		t.Fatal(err)
	}
	id := o.deliver(t, o.owner, "", nil, map[string]any{"dataset": "half"})
	half := len(content) / 2
	o.call(t, http.MethodPatch, fmt.Sprintf("/deliveries/%d/files/half.geojson", id), o.owner, content[:half], nil, "Upload-Offset", "0")
	page := o.visit(t, browser, o.owner, fmt.Sprintf("#/deliveries/%d", id), 1280, 800)
	page.wait(`document.querySelector('[data-part=upload] input[type=file]')`)
	page.accessible()
	sent := `performance.getEntriesByType('resource').filter((r) => r.name.includes('/files/')).length`
	page.do(chromedp.SetUploadFiles(`[data-part=upload] input[type=file]`, []string{file}))
	page.wait(`document.querySelector('.delivery')?.dataset.state === 'released'`)
	var d struct {
		Bytes     int `json:"bytes"`
		Published int `json:"published"`
	}
	o.call(t, http.MethodGet, fmt.Sprintf("/deliveries/%d", id), o.owner, nil, &d)
	if d.Bytes != len(content) || d.Published != 24 {
		t.Errorf("%d bytes and %d rows arrived, want %d and 24", d.Bytes, d.Published, len(content))
	}
	if n := eval[int](page, sent); n != 2 {
		t.Errorf("%d requests for the file, want one for the offset and one for the rest", n)
	}
	page.quiet()
}

func testDeliveriesOnPhone(t *testing.T, o office, browser context.Context) {
	outside := `[...document.querySelectorAll('.top *, .side *')].filter((e) => !e.closest('.scroll, thead') && e.getClientRects().length > 0 && (e.getBoundingClientRect().right > 391 || e.getBoundingClientRect().left < -1)).map((e) => e.outerHTML.slice(0, 120))`
	page := o.visit(t, browser, o.owner, "#/deliveries", 390, 844)
	page.wait(`document.querySelector('tr[data-delivery]')`)
	page.shot("phone-list")
	page.accessible()
	if out := eval[[]string](page, outside); len(out) > 0 {
		t.Errorf("the list lies outside a screen of 390 pixels: %q", out)
	}
	page.click(fmt.Sprintf(`tr[data-delivery="%d"] .row-link`, o.awaiting))
	page.wait(`document.querySelector('[data-change]')`)
	if eval[int](page, `document.querySelector('.stage').offsetHeight`) != 0 {
		t.Error("the map takes room before it is asked for")
	}
	page.shot("phone-delivery")
	page.accessible()
	if out := eval[[]string](page, outside); len(out) > 0 {
		t.Errorf("the delivery lies outside a screen of 390 pixels: %q", out)
	}
	page.click(`[data-change] button`)
	page.wait(`document.querySelector('.stage').offsetHeight > 200 && window.__portal.map && window.__portal.map.querySourceFeatures('-selection').length > 0`)
	eval[bool](page, `window.__portal.idle()`)
	page.shot("phone-map")
	page.click(".map-toggle")
	page.wait(`document.querySelector('.stage').offsetHeight === 0`)
	page.quiet()
}
