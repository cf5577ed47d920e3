package access

import (
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"changde/catalog"
	"changde/problem"
)

var _ catalog.Reader = Principal{}

func TestPermissionMatrix(t *testing.T) {
	t.Parallel()
	principals := []struct {
		name string
		p    Principal
	}{
		{"anonymous", Principal{}},
		{"anonymous-admin", Principal{Admin: true}},
		{"owner", Principal{Organisation: "land"}},
		{"other", Principal{Organisation: "plan"}},
		{"admin", Principal{Organisation: "egov", Admin: true}},
	}
	sharings := []string{"public", "internal", "private", "secret", "", "PUBLIC"}
	owners := []string{"land", ""}
	// One letter for each sharing, in order: y reads, - does not.
	want := map[string][2]string{ // owned by land, owned by the platform
		"anonymous":       {"y-----", "y-----"},
		"anonymous-admin": {"y-----", "y-----"},
		"owner":           {"yyy---", "yy----"},
		"other":           {"yy----", "yy----"},
		"admin":           {"yyyyyy", "yyyyyy"},
	}
	for _, pr := range principals {
		for i, owner := range owners {
			var got strings.Builder
			for _, sharing := range sharings {
				if pr.p.MayRead(owner, sharing) {
					got.WriteByte('y')
				} else {
					got.WriteByte('-')
				}
			}
			if got.String() != want[pr.name][i] {
				t.Errorf("%s reads of owner %q: %s, want %s (%v)", pr.name, owner, got.String(), want[pr.name][i], sharings)
			}
		}
	}
	declares := map[string][3]bool{ // at all, for land, for plan
		"anonymous": {false, false, false}, "anonymous-admin": {false, false, false},
		"owner": {true, true, false}, "other": {true, false, true}, "admin": {true, true, true},
	}
	for _, pr := range principals {
		got := [3]bool{pr.p.MayDeclareProjects(), pr.p.MayDeclareFor("land"), pr.p.MayDeclareFor("plan")}
		if got != declares[pr.name] {
			t.Errorf("%s declares: %v, want %v", pr.name, got, declares[pr.name])
		}
		if pr.p.MayDeclareFor("") && !pr.p.Admin {
			t.Errorf("%s declares for nobody", pr.name)
		}
	}
}

func TestKeyFormat(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 200 {
		plain, id := newKey()
		if got, ok := parseKey(plain); !ok || got != id || seen[plain] || seen[id] {
			t.Fatalf("key of id %s does not parse or came twice", id)
		}
		seen[plain], seen[id] = true, true
	}
	if len(seen) != 400 {
		t.Fatalf("%d different keys and ids of 400", len(seen))
	}
}

// A slip of one character, or two neighbours swapped, never passes.
func TestKeySlips(t *testing.T) {
	t.Parallel()
	const alphabet = "abcdefghijklmnopqrstuvwxyz0123456789_ABC-\x00"
	rapid.Check(t, func(t *rapid.T) {
		plain, _ := newKey()
		b := []byte(plain)
		i := rapid.IntRange(0, len(b)-2).Draw(t, "at")
		switch rapid.IntRange(0, 3).Draw(t, "slip") {
		case 0:
			c := rapid.SampledFrom([]byte(alphabet)).Draw(t, "typed")
			if c == b[i] {
				return
			}
			b[i] = c
		case 1:
			if b[i] == b[i+1] {
				return
			}
			b[i], b[i+1] = b[i+1], b[i]
		case 2:
			b = append(b[:i], b[i+1:]...)
		case 3:
			b = append(b[:i+1], b[i:]...)
		}
		if _, ok := parseKey(string(b)); ok {
			t.Fatalf("a key with a slip at %d passed", i)
		}
	})
}

func FuzzParseKey(f *testing.F) {
	plain, _ := newKey()
	for _, s := range []string{"", "cd_", plain, plain[:len(plain)-1], strings.ToUpper(plain), strings.Repeat("cd_", 40)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, ok := parseKey(s)
		if ok && (len(s) != keyLength || !validKeyID(id) || !strings.HasPrefix(s, "cd_"+id+"_")) {
			t.Errorf("%q passed with id %q", s, id)
		}
	})
}

func TestKeyFromRequest(t *testing.T) {
	t.Parallel()
	a, _ := newKey()
	b, _ := newKey()
	tests := []struct {
		name    string
		query   string
		headers [][2]string
		want    string
		kind    problem.Kind
		code    string
	}{
		{name: "none"},
		{name: "bearer", headers: [][2]string{{"Authorization", "Bearer " + a}}, want: a},
		{name: "bearer in lower case, spaces", headers: [][2]string{{"Authorization", "  bearer   " + a + " "}}, want: a},
		{name: "header", headers: [][2]string{{"X-API-Key", a}}, want: a},
		{name: "query", query: "f=json&tk=" + a, want: a},
		{name: "query with an encoded name", query: "%74k=" + a, want: a},
		{name: "empty tk", query: "tk="},
		{name: "the same three times", query: "tk=" + a + "&tk=" + a, headers: [][2]string{{"X-API-Key", a}, {"Authorization", "Bearer " + a}}, want: a},
		{name: "basic of a proxy", headers: [][2]string{{"Authorization", "Basic dTpw"}}},
		{name: "basic of a proxy beside ours", headers: [][2]string{{"Authorization", "Basic dTpw"}, {"X-API-Key", a}}, want: a},
		{name: "two in headers", headers: [][2]string{{"X-API-Key", a}, {"Authorization", "Bearer " + b}}, kind: problem.Invalid, code: "keys-differ"},
		{name: "two in the query", query: "tk=" + a + "&tk=" + b, kind: problem.Invalid, code: "keys-differ"},
		{name: "header and query", query: "tk=" + a, headers: [][2]string{{"X-API-Key", b}}, kind: problem.Invalid, code: "keys-differ"},
		{name: "no scheme", headers: [][2]string{{"Authorization", a}}, kind: problem.Invalid, code: "authorization-scheme"},
		{name: "long", headers: [][2]string{{"X-API-Key", strings.Repeat("a", 201)}}, kind: problem.Unauthenticated, code: "key-invalid"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest("GET", "/collections?"+tt.query, nil)
			for _, h := range tt.headers {
				r.Header.Add(h[0], h[1])
			}
			got, err := KeyFromRequest(r)
			if got != tt.want {
				t.Errorf("key %q, want %q", got, tt.want)
			}
			if tt.code == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if !problem.Is(err, tt.kind) || err.(*problem.Error).Code != tt.code {
				t.Fatalf("error %v, want %s %s", err, tt.kind, tt.code)
			}
			if strings.Contains(err.Error(), a) || strings.Contains(err.Error(), b) {
				t.Errorf("the error shows a key: %v", err)
			}
		})
	}
}

func TestRedactURL(t *testing.T) {
	t.Parallel()
	key, id := newKey()
	for in, want := range map[string]string{
		"/tiles/a/1/2/3":                        "/tiles/a/1/2/3",
		"/x?b=2&tk=secret&a=%E5%B8%B8":          "/x?b=2&tk=***&a=%E5%B8%B8",
		"/x?tk=one&tk=two":                      "/x?tk=***&tk=***",
		"/x?TK=one":                             "/x?TK=***",
		"/x?%74k=one":                           "/x?%74k=***",
		"/x?tk=":                                "/x?tk=",
		"/x?tk":                                 "/x?tk",
		"/x?q=tkey":                             "/x?q=tkey",
		"/x?tk=a=b":                             "/x?tk=***",
		"/x?tk=a;b=" + key:                      "/x?tk=***;b=***",
		"/x?q=" + key:                           "/x?q=***",
		"/x?q=" + key[:30]:                      "/x?q=***",
		"/" + key + "/x":                        "/***/x",
		"/x?q=" + strings.ToUpper(key):          "/x?q=***",
		"/x?q=cd%5F" + id + "%5f" + key[12:]:    "/x?q=***",
		"https://u:p@h/x?tk=" + key:             "https://u:xxxxx@h/x?tk=***",
		"/x?redirect=%2Fy%3Ftk%3D" + key + "&z": "/x?redirect=%2Fy%3Ftk%3D***&z",
	} {
		u, err := url.Parse(in)
		if err != nil {
			t.Fatal(err)
		}
		before := u.String()
		if got := RedactURL(u); got != want {
			t.Errorf("RedactURL(%s) = %s, want %s", in, got, want)
		}
		if u.String() != before {
			t.Errorf("RedactURL changed its argument %s", in)
		}
	}
	if got := RedactURL(nil); got != "" {
		t.Errorf("nil: %q", got)
	}
}

func FuzzRedactURL(f *testing.F) {
	f.Add("a=1&tk=%s&b")
	f.Add("%74K=%s")
	f.Add("x=%s;tk=%s")
	key, _ := newKey()
	f.Fuzz(func(t *testing.T, query string) {
		u := &url.URL{Path: "/x", RawQuery: strings.ReplaceAll(query, "%s", key)}
		got := RedactURL(u)
		for _, v := range u.Query()["tk"] {
			if len(v) > 20 && strings.Contains(got, v) {
				t.Errorf("%s shows tk", got)
			}
		}
		if strings.Contains(got, key) {
			t.Errorf("%s shows the key", got)
		}
	})
}

// A hostile query as long as a server takes does not hold up the log.
func TestRedactURLIsLinear(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for i := range 100_000 {
		b.WriteString("&tk=")
		b.WriteString(strings.Repeat("x", i%7+1))
	}
	start := time.Now()
	if got := RedactURL(&url.URL{Path: "/", RawQuery: b.String()}); strings.Contains(got, "tk=x") {
		t.Error("a value is left")
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("took %v", took)
	}
}
