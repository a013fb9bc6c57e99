package cookie_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chisession/session/cookie"
)

func newCookie(t *testing.T, o cookie.Options) *cookie.Cookie {
	t.Helper()
	c, err := cookie.New(o)
	if err != nil {
		t.Fatalf("New(%+v): %v", o, err)
	}
	return c
}

func TestLines(t *testing.T) { synctest.Test(t, lines) }

func lines(t *testing.T) {
	for _, tc := range []struct {
		name        string
		opts        cookie.Options
		maxAge      time.Duration
		set, remove string
	}{
		{"default", cookie.Options{}, 0,
			"beegosessionID=v; Path=/; HttpOnly; Secure; SameSite=Lax", "beegosessionID=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; HttpOnly; Secure; SameSite=Lax"},
		{"persistent", cookie.Options{Name: "a"}, 90*time.Second + 1,
			"a=v; Path=/; Expires=Sat, 01 Jan 2000 00:01:31 GMT; Max-Age=91; HttpOnly; Secure; SameSite=Lax", "a=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; HttpOnly; Secure; SameSite=Lax"},
		{"cut at 400 days", cookie.Options{Name: "a"}, 500 * 24 * time.Hour,
			"a=v; Path=/; Expires=Sun, 04 Feb 2001 00:00:00 GMT; Max-Age=34560000; HttpOnly; Secure; SameSite=Lax", "a=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; HttpOnly; Secure; SameSite=Lax"},
		{"everything", cookie.Options{Name: "__Secure-a", Path: "/x", Domain: ".example.com", SameSite: http.SameSiteNoneMode, Partitioned: true, ScriptReadable: true}, 0,
			"__Secure-a=v; Path=/x; Domain=example.com; Secure; SameSite=None; Partitioned", "__Secure-a=; Path=/x; Domain=example.com; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Secure; SameSite=None; Partitioned"},
		{"insecure", cookie.Options{Insecure: true, SameSite: http.SameSiteStrictMode}, 0,
			"beegosessionID=v; Path=/; HttpOnly; SameSite=Strict", "beegosessionID=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; HttpOnly; SameSite=Strict"},
	} {
		c := newCookie(t, tc.opts)
		if got := c.Set("v", tc.maxAge); got != tc.set {
			t.Errorf("%s: Set\n got %s\nwant %s", tc.name, got, tc.set)
		}
		if got := c.Remove(); got != tc.remove {
			t.Errorf("%s: Remove\n got %s\nwant %s", tc.name, got, tc.remove)
		}
	}
}

// TestSecure: nothing but Insecure leaves Secure out.
func TestSecure(t *testing.T) {
	for _, o := range []cookie.Options{
		{}, {Name: "__Host-s"}, {Name: "__Secure-s", Domain: "example.com", Path: "/x"}, {SameSite: http.SameSiteStrictMode}, {SameSite: http.SameSiteNoneMode},
		{Partitioned: true}, {ScriptReadable: true}, {Persistent: true}, {MaxAge: time.Hour}, {Insecure: true}, {Insecure: true, Persistent: true},
	} {
		c := newCookie(t, o)
		if c.Secure() == o.Insecure {
			t.Errorf("%+v: Secure = %v", o, c.Secure())
		}
		for _, line := range []string{c.Set("v", 0), c.Set("v", time.Hour), c.Remove()} {
			if strings.Contains(line, "; Secure") == o.Insecure {
				t.Errorf("%+v: the line is %q", o, line)
			}
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for _, tc := range []struct {
		field string
		opts  cookie.Options
	}{
		{"Name", cookie.Options{Name: "a b"}}, {"Name", cookie.Options{Name: "a;b"}}, {"Name", cookie.Options{Name: "a\r\nb"}},
		{"Name", cookie.Options{Name: "ä"}}, {"Name", cookie.Options{Name: "a=b"}}, {"Name", cookie.Options{Name: "a\x00"}},
		{"Name", cookie.Options{Name: strings.Repeat("a", 4097)}},
		{"Path", cookie.Options{Path: "x"}}, {"Path", cookie.Options{Path: "/;x"}}, {"Path", cookie.Options{Path: "/\n"}},
		{"Path", cookie.Options{Path: "/" + strings.Repeat("a", 1024)}}, {"Path", cookie.Options{Path: "/ä"}},
		{"Domain", cookie.Options{Domain: "a b"}}, {"Domain", cookie.Options{Domain: "https://example.com"}}, {"Domain", cookie.Options{Domain: "example.com:80"}},
		{"Domain", cookie.Options{Domain: "example.com; Secure"}}, {"Domain", cookie.Options{Domain: ".."}}, {"Domain", cookie.Options{Domain: "127.0.0.1"}}, {"Domain", cookie.Options{Domain: "com"}}, {"Domain", cookie.Options{Domain: "-a.com"}},
		{"SameSite", cookie.Options{SameSite: 9}}, {"SameSite", cookie.Options{SameSite: -1}},
		{"MaxAge", cookie.Options{MaxAge: -1}}, {"MaxAge", cookie.Options{MaxAge: time.Millisecond}}, {"MaxAge", cookie.Options{MaxAge: 401 * 24 * time.Hour}},
		{"Insecure", cookie.Options{Insecure: true, SameSite: http.SameSiteNoneMode}}, {"Insecure", cookie.Options{Insecure: true, Partitioned: true}},
		{"Insecure", cookie.Options{Insecure: true, Name: "__host-a"}}, {"Insecure", cookie.Options{Insecure: true, Name: "__Secure-a"}},
		{"Insecure", cookie.Options{Insecure: true, Name: "__Http-a"}}, {"Insecure", cookie.Options{Insecure: true, Name: "__host-HTTP-a"}},
		{"ScriptReadable", cookie.Options{ScriptReadable: true, Name: "__Http-a"}}, {"ScriptReadable", cookie.Options{ScriptReadable: true, Name: "__Host-Http-a"}},
		{"ScriptReadable", cookie.Options{ScriptReadable: true, Name: "__HTTP-a"}}, {"Domain", cookie.Options{Name: "__Host-Http-a", Domain: "example.com"}},
		{"Path", cookie.Options{Name: "__host-http-a", Path: "/x"}},
		{"Domain", cookie.Options{Name: "__Host-a", Domain: "example.com"}}, {"Path", cookie.Options{Name: "__HOST-a", Path: "/x"}},
	} {
		if _, err := cookie.New(tc.opts); err == nil || !strings.Contains(err.Error(), "cookie.Options."+tc.field) {
			t.Errorf("New(%+v): %v, want an error that names %s", tc.opts, err, tc.field)
		}
	}
}

func values(c *cookie.Cookie, lines ...string) (got []string) {
	c.Values(http.Header{"Cookie": lines}, func(v string) bool {
		got = append(got, v)
		return true
	})
	return got
}

func TestValues(t *testing.T) {
	c := newCookie(t, cookie.Options{Name: "s"})
	for _, tc := range []struct {
		lines []string
		want  []string
	}{
		{nil, nil},
		{[]string{"s=1"}, []string{"1"}},
		{[]string{"a=0; s=1; b=2; s=3"}, []string{"1", "3"}},
		{[]string{"s=1", "s=2"}, []string{"1", "2"}},
		{[]string{"S=1; ss=2; s =3; \u2000s=4; %73=5; $Version=1,s=6; x-s=7"}, nil},
		{[]string{`s="1"; s=1 ; s=%31; s=`}, []string{`"1"`, "1", "%31", ""}},
		{[]string{";;; s=1;;\ts=2"}, []string{"1", "2"}},
		{[]string{"s; =s; s"}, nil},
		{[]string{"s=1 ; a=b", "s=2\t \t; s= 3 ; s=4 5 "}, []string{"1", "2", " 3", "4 5"}},
	} {
		if got := values(c, tc.lines...); !slices.Equal(got, tc.want) {
			t.Errorf("Values(%q) = %q, want %q", tc.lines, got, tc.want)
		}
	}
}

func TestValuesStopsAndAllocatesNothing(t *testing.T) {
	c := newCookie(t, cookie.Options{Name: "s"})
	h := http.Header{"Cookie": {strings.Repeat("s=1; ", 1000)}}
	n := 0
	allocs := testing.AllocsPerRun(10, func() {
		n = 0
		c.Values(h, func(string) bool { n++; return n < 3 })
	})
	if n != 3 || allocs != 0 {
		t.Errorf("Values yielded %d values with %v allocations, want 3 with none", n, allocs)
	}
}

// FuzzValues compares with net/http on what net/http accepts, and looks for
// panics on the rest.
func FuzzValues(f *testing.F) {
	f.Add("s=1; t=2; s=3")
	f.Add(`s="quoted"; s=a b`)
	f.Add(";;=;s=;s==")
	c, err := cookie.New(cookie.Options{Name: "s"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, line string) {
		got := values(c, line)
		r := &http.Request{Header: http.Header{"Cookie": {line}}}
		for _, theirs := range r.CookiesNamed("s") {
			if theirs.Quoted || strings.ContainsAny(line, " \t\r\n") {
				continue // net/http trims and unquotes, which would give one token several spellings
			}
			if theirs.Value == "" {
				continue // net/http takes a name without "=" for an empty value, which is no token either way
			}
			if !slices.Contains(got, theirs.Value) {
				t.Errorf("Values(%q) = %q, net/http sees %q", line, got, theirs.Value)
			}
		}
	})
}
