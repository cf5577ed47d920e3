package report

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// seen is what a browser tells of a page.
type seen struct {
	Width, Scripts, Handlers, Images, Elements int
	Header                                     string // its colour
	Links                                      []string
	Text                                       string
	Wide                                       []string // elements that reach beyond the window
}

const look = `(() => {
  const all = [...document.querySelectorAll('*')];
  return {
    width: document.documentElement.scrollWidth,
    scripts: document.scripts.length,
    handlers: all.filter(e => [...e.attributes].some(a => a.name.startsWith('on'))).length,
    images: document.images.length,
    elements: all.length,
    header: getComputedStyle(document.querySelector('header')).backgroundColor,
    links: [...document.links].map(a => a.protocol),
    text: document.body.innerText,
    wide: all.filter(e => !e.closest('svg, thead, .state') && e.getBoundingClientRect().right > innerWidth + 0.5).map(e => e.tagName + '.' + e.className),
  };
})()`

// TestBrowserShowsThePage: under the policy the style sheet holds and nothing runs,
// and no width of window makes the page scroll sideways, whatever its texts.
func TestBrowserShowsThePage(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a browser")
	}
	t.Parallel()
	path := ""
	for _, name := range []string{"/usr/lib/chromium/chromium-headless-shell", "chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Skip("no Chromium on this machine: apt-get install chromium-headless-shell fonts-noto-cjk")
	}
	pages := map[string]Document{"/parcels": parcels(), "/many": many(20_000), "/empty": {Delivery: 1}}
	for i, s := range hostile {
		pages[fmt.Sprint("/hostile/", i)] = told(s, false)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d, ok := pages[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", ContentSecurityPolicy())
		if err := HTML(w, d); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)

	options := append(chromedp.DefaultExecAllocatorOptions[:len(chromedp.DefaultExecAllocatorOptions):len(chromedp.DefaultExecAllocatorOptions)],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"),
		chromedp.Flag("proxy-server", "direct://"))
	allocator, stop := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(stop)
	browser, end := chromedp.NewContext(allocator)
	t.Cleanup(end)
	ctx, cancel := context.WithTimeout(browser, 2*time.Minute)
	t.Cleanup(cancel)

	for address := range pages {
		for _, width := range []int64{1100, 390} {
			if err := chromedp.Do(ctx, chromedp.EmulateViewport(width, 900), chromedp.Navigate(server.URL+address)); err != nil {
				t.Fatalf("%s: %v", address, err)
			}
			got, err := chromedp.Run(ctx, chromedp.Evaluate[seen](look))
			if err != nil {
				t.Fatalf("%s: %v", address, err)
			}
			if got.Width > int(width) || len(got.Wide) > 0 {
				t.Errorf("%s is %d wide in a window of %d: %v", address, got.Width, width, got.Wide[:min(len(got.Wide), 8)])
			}
			if got.Scripts+got.Handlers+got.Images > 0 || got.Elements < 50 {
				t.Errorf("%s has %d scripts, %d handlers, %d images among %d elements", address, got.Scripts, got.Handlers, got.Images, got.Elements)
			}
			if got.Header != "rgb(31, 95, 88)" {
				t.Errorf("%s: the style sheet is not applied, the header is %s", address, got.Header)
			}
			for _, l := range got.Links {
				if l != "http:" && l != "https:" {
					t.Errorf("%s has a link of %s", address, l)
				}
			}
			if !strings.Contains(got.Text, "质量检查") {
				t.Errorf("%s shows no text", address)
			}
		}
	}
}
