package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image/color"
	"image/png"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// TestPortal drives the page in a real browser against the whole program with
// the sample city at a small scale. The parts share one program and each opens a
// page of its own; what the console says in a part fails it.
func TestPortal(t *testing.T) {
	if testing.Short() {
		t.Skip("starts PostGIS and a browser")
	}
	t.Parallel()
	chrome := findBrowser(t)
	p := startPortal(t)
	b := startBrowser(t, chrome)

	t.Run("draws", func(t *testing.T) { testDraws(t, p, b) })
	t.Run("zooms", func(t *testing.T) { testZooms(t, p, b) })
	t.Run("styles", func(t *testing.T) { testStyles(t, p, b) })
	t.Run("openlayers", func(t *testing.T) { testOpenLayers(t, p, b) })
	t.Run("feature", func(t *testing.T) { testFeature(t, p, b) })
	t.Run("projects", func(t *testing.T) { testProjects(t, p, b) })
	t.Run("language", func(t *testing.T) { testLanguage(t, p, b) })
	t.Run("key", func(t *testing.T) { testKey(t, p, b) })
	t.Run("phone", func(t *testing.T) { testPhone(t, p, b) })
	t.Run("offline", func(t *testing.T) { testOffline(t, p, b) })
	t.Run("without WebGL", func(t *testing.T) {
		testWithoutWebGL(t, p, startBrowser(t, chrome, chromedp.Flag("disable-3d-apis", true)))
	})
}

// portal is the running program.
type portal struct {
	url string
	key string // of the office that keeps the platform
}

func startPortal(t *testing.T) portal {
	t.Helper()
	dir := folder(t)
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	var log bytes.Buffer
	exit := make(chan int, 1)
	go func() {
		exit <- run(ctx, []string{"dev", "--data", dir, "--listen", "127.0.0.1:0", "--scale", "0.002"}, strings.NewReader(""), w, &log)
		w.Close()
	}()
	ready := make(chan string, 1)
	var said bytes.Buffer
	go func() {
		address := regexp.MustCompile(`http://127\.0\.0\.1:\d+`)
		buffer := make([]byte, 4096)
		for {
			n, err := r.Read(buffer)
			said.Write(buffer[:n])
			if i := bytes.Index(said.Bytes(), []byte("ready")); i >= 0 {
				if m := address.Find(said.Bytes()[i:]); m != nil {
					select {
					case ready <- string(m):
					default:
					}
				}
			}
			if err != nil {
				close(ready)
				return
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		if code := <-exit; code != 0 && code != 130 {
			t.Errorf("the program ended with %d:\n%s", code, log.String())
		}
	})
	select {
	case u, ok := <-ready:
		if !ok {
			code := <-exit
			exit <- code
			t.Fatalf("the program ended with %d before it was ready:\n%s\n%s", code, said.String(), log.String())
		}
		var key, notes bytes.Buffer
		if code := run(t.Context(), []string{"key", "create", "egov", "--data", dir}, strings.NewReader(""), &key, &notes); code != 0 {
			t.Fatalf("key create: %d\n%s", code, notes.String())
		}
		return portal{url: u, key: strings.TrimSpace(key.String())}
	case <-time.After(4 * time.Minute):
		t.Fatal("the program was not ready in four minutes")
		return portal{}
	}
}

// get reads JSON from the API as an anonymous caller, past the page.
func (p portal) get(t *testing.T, path string, to any) {
	t.Helper()
	r, err := http.Get(p.url + path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s", path, r.Status)
	}
	if err := json.NewDecoder(r.Body).Decode(to); err != nil {
		t.Fatalf("GET %s: %v", path, err)
	}
}

func findBrowser(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"/usr/lib/chromium/chromium-headless-shell", "chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("no Chromium on this machine: apt-get install chromium-headless-shell fonts-noto-cjk")
	return ""
}

// startBrowser starts Chromium with drawing in software and no way to any host
// but this one.
func startBrowser(t *testing.T, path string, more ...chromedp.ExecAllocatorOption) context.Context {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:len(chromedp.DefaultExecAllocatorOptions):len(chromedp.DefaultExecAllocatorOptions)],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.WindowSize(1000, 800), chromedp.Env("TZ=Asia/Shanghai"),
		chromedp.Flag("use-angle", "swiftshader"), chromedp.Flag("enable-unsafe-swiftshader", true),
		chromedp.Flag("disable-accelerated-2d-canvas", true), chromedp.Flag("disable-dev-shm-usage", false),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"), chromedp.Flag("proxy-server", "direct://"),
		chromedp.Flag("accept-lang", "zh-CN"), chromedp.Flag("force-device-scale-factor", "1"))
	allocator, stop := chromedp.NewExecAllocator(t.Context(), append(options, more...)...)
	t.Cleanup(stop)
	browser, end := chromedp.NewContext(allocator)
	t.Cleanup(end)
	if err := chromedp.Do(browser); err != nil {
		t.Fatalf("start %s: %v", path, err)
	}
	return browser
}

// page is one open page with all that its console said.
type page struct {
	t   *testing.T
	ctx context.Context

	mu   sync.Mutex
	said []string
	seen chan string // texts of console.debug, by which a test waits for what came before
}

// open opens an address in a page of its own, with its own storage.
func open(t *testing.T, browser context.Context, address string, width, height int64) *page {
	t.Helper()
	ctx, closePage := chromedp.NewContext(browser, chromedp.WithNewBrowserContext())
	t.Cleanup(closePage)
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	t.Cleanup(cancel)
	p := &page{t: t, ctx: ctx, seen: make(chan string, 16)}
	console := chromedp.Console(ctx)
	go func() {
		for m, err := range console {
			if err != nil {
				return
			}
			if m.Type == "debug" {
				p.seen <- m.Text
				continue
			}
			p.mu.Lock()
			p.said = append(p.said, m.String())
			p.mu.Unlock()
		}
	}()
	p.do(chromedp.EmulateViewport(width, height), chromedp.Navigate(address))
	return p
}

func (p *page) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	if err := chromedp.Do(p.ctx, steps...); err != nil {
		p.t.Fatal(err)
	}
}

// eval runs JavaScript that returns a value or a promise of one.
func eval[T any](p *page, script string) T {
	p.t.Helper()
	v, err := chromedp.Run(p.ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Fatalf("%s: %v", script, err)
	}
	return v
}

// wait waits until JavaScript gives something true.
func (p *page) wait(script string) {
	p.t.Helper()
	if _, err := chromedp.Run(p.ctx, chromedp.Poll[chromedp.Void](script, chromedp.WithPollingInterval(30*time.Millisecond), chromedp.WithPollingTimeout(20*time.Second))); err != nil {
		p.t.Fatalf("waiting for %s: %v\nthe page says:\n%s", script, err, eval[string](p, "document.body.innerText"))
	}
}

// idle waits until the map has drawn the layers of the catalogue.
func (p *page) idle() {
	p.t.Helper()
	p.wait(`document.querySelector('.map-buttons') && document.querySelector('.layer, .report, .project')`)
	p.wait(`window.__portal.rendered('xzq') > 0 || window.__portal.zoom() > 12`)
	eval[bool](p, `window.__portal.idle()`)
}

// text is what an element shows; the test fails without it.
func (p *page) text(selector string) string {
	p.t.Helper()
	return eval[string](p, fmt.Sprintf(`document.querySelector(%q).innerText`, selector))
}

// click waits until the element rests in view with nothing above it, as a
// person would before pressing it.
func (p *page) click(selector string) {
	p.t.Helper()
	eval[bool](p, `delete window.__target`)
	p.wait(fmt.Sprintf(restsInView, selector))
	at := eval[struct{ X, Y float64 }](p, `window.__target`)
	p.do(chromedp.MouseClickXY(at.X, at.Y))
}

// restsInView is true when the element's middle can be pressed and has not
// moved since the poll before; it leaves the place in window.__target.
const restsInView = `(() => {
	const e = document.querySelector(%q);
	if (!e) return false;
	e.scrollIntoView({ block: 'nearest' });
	const r = e.getBoundingClientRect();
	const at = { x: r.left + r.width / 2, y: r.top + r.height / 2 };
	const before = window.__target;
	window.__target = at;
	return before && before.x === at.x && before.y === at.y && e.contains(document.elementFromPoint(at.x, at.y));
})()`

// shot keeps a screenshot among the test's artifacts and returns it.
func (p *page) shot(name string) []byte {
	p.t.Helper()
	b, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(p.t.ArtifactDir(), name+".png"), b, 0o644); err != nil {
		p.t.Fatal(err)
	}
	return b
}

// quiet fails the test for anything on the console or among the page's errors
// that does not contain one of the allowed texts.
func (p *page) quiet(allowed ...string) {
	p.t.Helper()
	end := fmt.Sprintf("end %d", time.Now().UnixNano())
	eval[bool](p, fmt.Sprintf(`(console.debug(%q), true)`, end))
	for deadline := time.After(10 * time.Second); ; {
		select {
		case text := <-p.seen:
			if text != end {
				continue
			}
		case <-deadline:
			p.t.Fatal("the console did not answer")
		}
		break
	}
	p.mu.Lock()
	defer p.mu.Unlock()
said:
	for _, text := range append(p.said, eval[[]string](p, `window.__portal.errors`)...) {
		for _, a := range allowed {
			if strings.Contains(text, a) {
				continue said
			}
		}
		p.t.Errorf("the console says: %s", text)
	}
}

func testDraws(t *testing.T, p portal, browser context.Context) {
	page := open(t, browser, p.url+"/", 1000, 800)
	page.idle()
	for _, id := range []string{"xzq", "dltb", "roads", "places"} {
		page.wait(fmt.Sprintf(`window.__portal.rendered(%q) > 0`, id))
	}
	eval[bool](page, `window.__portal.idle()`)
	if got := eval[string](page, `document.documentElement.lang`); got != "zh-CN" {
		t.Errorf("html lang is %q, want zh-CN", got)
	}
	// Without a font for Chinese every character is the same box.
	if n := eval[int](page, `(() => {
		const draw = (c) => { const e = document.createElement('canvas'); e.width = e.height = 40; const g = e.getContext('2d'); g.font = '32px "Noto Sans CJK SC", sans-serif'; g.fillText(c, 2, 34); return e.toDataURL() };
		return new Set(['常', '德', '\u{10FFFD}'].map(draw)).size })()`); n != 3 {
		t.Errorf("常, 德 and a character no font has give %d pictures, want 3: install fonts-noto-cjk", n)
	}
	drawn(t, page.shot("start"))
	if got := page.text(".attribution"); !strings.Contains(got, "边界为示意，非标准地图") || !strings.Contains(got, "GeoNames") {
		t.Errorf("attribution %q lacks the credits or that boundaries are illustrative", got)
	}
	page.wait(`/default-[0-9a-f]+\.png/.test(getComputedStyle(document.querySelector('[data-collection="service_terminals"] .swatch')).backgroundImage)`)
	row := page.text(`[data-collection="dltb"]`)
	for _, want := range []string{"地类图斑", "合成", "第 1 版", "耕地"} {
		if !strings.Contains(row, want) {
			t.Errorf("the row of the parcels lacks %q:\n%s", want, row)
		}
	}
	page.quiet()
}

// drawn fails when the map's part of a picture is paper alone.
func drawn(t *testing.T, picture []byte) {
	t.Helper()
	img, err := png.Decode(bytes.NewReader(picture))
	if err != nil {
		t.Fatal(err)
	}
	colours := make(map[color.RGBA]int)
	total, paper := 0, 0
	for y := 100; y < 760; y += 2 {
		for x := 420; x < 980; x += 2 {
			r, g, b, _ := img.At(x, y).RGBA()
			c := color.RGBA{uint8(r >> 8), uint8(g >> 8), uint8(b >> 8), 255}
			colours[c]++
			total++
			if c == (color.RGBA{0xef, 0xea, 0xe0, 255}) {
				paper++
			}
		}
	}
	if paper*2 > total || len(colours) < 20 {
		t.Errorf("the map shows %d colours and %d of %d points are bare paper", len(colours), paper, total)
	}
}

func testZooms(t *testing.T, p portal, browser context.Context) {
	for _, zoom := range []int{8, 11, 14, 16} {
		page := open(t, browser, fmt.Sprintf("%s/#%d/29.035/111.69", p.url, zoom), 1000, 800)
		page.idle()
		if got := eval[float64](page, `window.__portal.zoom()`); got != float64(zoom) {
			t.Errorf("the address asks for zoom %d, the map has %v", zoom, got)
		}
		drawn(t, page.shot(fmt.Sprintf("zoom-%02d", zoom)))
		page.quiet()
	}
}

func testFeature(t *testing.T, p portal, browser context.Context) {
	page := open(t, browser, p.url+"/#17/29.035/111.69", 1000, 800)
	page.idle()
	page.wait(`window.__portal.at('dltb')`)
	at := eval[struct {
		X, Y float64
		FID  int64
	}](page, `window.__portal.at('dltb')`)
	page.do(chromedp.MouseClickXY(at.X, at.Y))
	page.wait(`document.querySelector('.feature td')`)
	var item struct {
		Properties map[string]any `json:"properties"`
		Release    int            `json:"release"`
	}
	p.get(t, fmt.Sprintf("/collections/dltb/items/%d", at.FID), &item)
	if got, want := page.text(`.feature td[data-field="DLBM"]`), item.Properties["DLBM"]; got != want || got == "" {
		t.Errorf("the panel gives DLBM %q, the API %v", got, want)
	}
	if got, want := page.text(".feature .release"), fmt.Sprintf("第 %d 版 · 20", item.Release); !strings.HasPrefix(got, want) {
		t.Errorf("the panel gives release %q, want %q and a day", got, want)
	}
	eval[bool](page, `window.__portal.idle()`)
	if n := eval[int](page, `window.__portal.map.querySourceFeatures('-selection').length`); n == 0 {
		t.Error("the picked parcel is not highlighted")
	}
	page.shot("feature")
	link := eval[string](page, `location.hash`)
	if want := fmt.Sprintf("feature=dltb/%d", at.FID); !strings.Contains(link, want) {
		t.Errorf("the address %q lacks %q", link, want)
	}
	page.quiet()

	again := open(t, browser, p.url+"/"+link, 1000, 800)
	again.idle()
	again.wait(`document.querySelector('.feature td')`)
	again.do(chromedp.KeyEvent("\u001b"))
	again.wait(`!document.querySelector('.feature')`)
	if got := eval[string](again, `location.hash`); strings.Contains(got, "feature=") {
		t.Errorf("the feature stays in the address %q after Escape", got)
	}
	again.quiet()
}

func testProjects(t *testing.T, p portal, browser context.Context) {
	var statistics struct {
		Sentence string `json:"sentence"`
		Figures  []struct {
			ID    string `json:"id"`
			Count int    `json:"count"`
			Href  string `json:"href"`
		} `json:"figures"`
	}
	p.get(t, "/statistics?from=2012-01-01&to=2012-06-30", &statistics)
	page := open(t, browser, p.url+"/", 1000, 800)
	page.idle()
	page.click(".tabs button:nth-child(2)")
	page.wait(`document.querySelectorAll('.report button').length > 0 && document.querySelector('.projects li')`)
	if got := page.text(".report"); !strings.Contains(got, statistics.Sentence) {
		t.Errorf("the report lacks the sentence %q:\n%s", statistics.Sentence, got)
	}
	page.shot("projects")
	opened := 0
	for i, f := range statistics.Figures {
		if f.Href == "" || f.Count == 0 {
			continue
		}
		var list struct {
			NumberMatched int `json:"numberMatched"`
		}
		p.get(t, strings.TrimPrefix(f.Href, p.url), &list)
		page.click(fmt.Sprintf(".report li:nth-child(%d) button", i+1))
		page.wait(fmt.Sprintf(`document.querySelector('.filter') && document.querySelector('.side-body [role=status]')?.innerText.includes('共 %d 个')`, list.NumberMatched))
		page.click(".filter button")
		page.wait(`!document.querySelector('.filter')`)
		opened++
	}
	if opened == 0 {
		t.Error("no figure of the report opens")
	}
	page.quiet()

	var listed struct {
		Projects []struct {
			Code string `json:"code"`
		} `json:"projects"`
	}
	p.get(t, "/projects?limit=200", &listed)
	for _, l := range listed.Projects {
		var project struct {
			Code   string     `json:"code"`
			Name   string     `json:"name"`
			BBox   *[]float64 `json:"bbox"`
			Assets []struct {
				Collection string `json:"collection"`
				ID         int64  `json:"id"`
				Present    bool   `json:"present"`
			} `json:"assets"`
		}
		p.get(t, "/projects/"+url.PathEscape(l.Code), &project)
		if project.BBox == nil || len(project.Assets) == 0 || !project.Assets[0].Present {
			continue
		}
		page := open(t, browser, p.url+"/#project="+url.QueryEscape(project.Code), 1000, 800)
		page.idle()
		page.wait(`document.querySelector('.project .timeline')`)
		if got := page.text(".project h2"); got != project.Name {
			t.Errorf("the panel names %q, the API %q", got, project.Name)
		}
		box := *project.BBox
		page.wait(fmt.Sprintf(`(() => { const c = window.__portal.map.getBounds(); return !window.__portal.map.isMoving() && c.contains([%f, %f]) && c.contains([%f, %f]) })()`, box[0], box[1], box[2], box[3]))
		eval[bool](page, `window.__portal.idle()`)
		page.wait(`window.__portal.map.querySourceFeatures('-selection').length > 0`)
		page.shot("project")
		a := project.Assets[0]
		page.click(".project .links button")
		page.wait(fmt.Sprintf(`document.querySelector('.feature')?.dataset.feature === '%s/%d' && document.querySelector('.feature td')`, a.Collection, a.ID))
		eval[bool](page, `window.__portal.idle()`)
		page.shot("asset")
		page.quiet()
		return
	}
	t.Error("no public project has a place and an asset that is present")
}

func testLanguage(t *testing.T, p portal, browser context.Context) {
	page := open(t, browser, p.url+"/", 1000, 800)
	page.idle()
	page.click(".top > button")
	page.wait(`document.documentElement.lang === 'en'`)
	if got := page.text(".tabs"); !strings.Contains(got, "Layers") || !strings.Contains(got, "Projects") {
		t.Errorf("the tabs are %q in English", got)
	}
	if got := page.text(".attribution"); !strings.Contains(got, "not a standard map") {
		t.Errorf("the attribution is %q in English", got)
	}
	page.shot("english")
	// Remembered by the browser, not by the address alone.
	eval[bool](page, `(history.replaceState(null, '', '/'), true)`)
	page.do(chromedp.Reload())
	page.idle()
	page.wait(`document.documentElement.lang === 'en'`)
	page.quiet()
}

func testKey(t *testing.T, p portal, browser context.Context) {
	page := open(t, browser, p.url+"/#14/29.035/111.69", 1000, 800)
	page.idle()
	public := eval[int](page, `document.querySelectorAll('.layer').length`)
	if eval[bool](page, `document.querySelector('[data-collection="planning"]') !== null`) {
		t.Fatal("the plan is listed without a key")
	}
	enter := func(key string) {
		t.Helper()
		page.click(".key-form input")
		page.do(chromedp.KeyEvent(key + "\r"))
	}
	page.click(".key > button")
	enter("not-a-key")
	page.wait(`document.querySelector('.key-form .error')`)
	if eval[int](page, `sessionStorage.length`) != 0 {
		t.Error("a key that the server refused is kept")
	}
	eval[bool](page, `(document.querySelector('.key-form input').value = '', true)`)
	enter(p.key)
	page.wait(`document.querySelector('.who') && document.querySelector('[data-collection="planning"]')`)
	page.click(`[data-collection="planning"] input`)
	page.wait(`window.__portal.rendered('planning') > 0`)
	eval[bool](page, `window.__portal.idle()`)
	page.shot("key")
	if where := eval[string](page, `location.href + JSON.stringify(history.state) + JSON.stringify({ ...localStorage })`); strings.Contains(where, p.key) {
		t.Error("the key is in the address or in lasting storage")
	}
	if address := eval[string](page, `performance.getEntriesByType('resource').map((r) => r.name).join('\n')`); strings.Contains(address, p.key) {
		t.Error("the key is in the address of a request")
	}
	page.click(".key button")
	page.wait(fmt.Sprintf(`!document.querySelector('[data-collection="planning"]') && document.querySelectorAll('.layer').length === %d`, public))
	eval[bool](page, `window.__portal.idle()`)
	if n := eval[int](page, `window.__portal.rendered('planning')`); n != 0 {
		t.Errorf("%d parcels of the plan stay on the map after signing out", n)
	}
	if eval[int](page, `sessionStorage.length`) != 0 {
		t.Error("the key is kept after signing out")
	}
	page.quiet("401")
}

func testPhone(t *testing.T, p portal, browser context.Context) {
	page := open(t, browser, p.url+"/", 390, 800)
	page.idle()
	page.shot("phone")
	page.click(".tabs button:nth-child(1)")
	page.wait(`document.querySelector('.side-body').offsetHeight > 100`)
	page.shot("phone-layers")
	if out := eval[[]string](page, `[...document.querySelectorAll('.top *, .side *, .stage > *')].filter((e) => !e.closest('.map') && e.getClientRects().length > 0 && (e.getBoundingClientRect().right > 391 || e.getBoundingClientRect().left < -1)).map((e) => e.outerHTML.slice(0, 100))`); len(out) > 0 {
		t.Errorf("parts of the page lie outside a screen of 390 pixels: %q", out)
	}
	page.click(".tabs button:nth-child(1)")
	page.wait(`document.querySelector('.side-body').offsetHeight === 0`)
	page.quiet()
}

func testOffline(t *testing.T, p portal, browser context.Context) {
	page := open(t, browser, p.url+"/", 1000, 800)
	page.idle()
	offline := func(on bool) {
		t.Helper()
		var conditions network.EmulateNetworkConditionsByRuleParams
		conditions.MatchedNetworkConditions = []*network.Conditions{}
		if on {
			conditions.MatchedNetworkConditions = append(conditions.MatchedNetworkConditions, &network.Conditions{Offline: true, DownloadThroughput: -1, UploadThroughput: -1})
		}
		if _, err := chromedp.Call(page.ctx, network.EmulateNetworkConditionsByRule, conditions); err != nil {
			t.Fatal(err)
		}
	}
	offline(true)
	page.click(".tabs button:nth-child(2)")
	page.wait(`document.querySelector('.notice')`)
	if got := page.text(".notices"); !strings.Contains(got, "无法连接服务器") {
		t.Errorf("without a network the page says %q", got)
	}
	offline(false)
	page.wait(`!document.querySelector('.notice') && document.querySelector('.projects li')`)
	page.quiet("ERR_INTERNET_DISCONNECTED", "Failed to fetch")
}

func testWithoutWebGL(t *testing.T, p portal, browser context.Context) {
	page := open(t, browser, p.url+"/", 1000, 800)
	page.wait(`document.querySelector('.map-note h2')`)
	if got := page.text(".map-note"); !strings.Contains(got, "WebGL") {
		t.Errorf("without WebGL the page says %q", got)
	}
	page.wait(`document.querySelectorAll('.layer').length > 5`)
	page.shot("no-webgl")
	page.quiet("no map:", "WebGL")
}
