package proxies

import (
	"strings"
	"testing"

	"github.com/chisession/session/internal/testserver"
)

// nginxCache keeps every page for a while that does not forbid it, as those do
// who put a cache in front of a site. It says in X-Cache whether it had one. A
// HEAD stays one, and has answers of its own.
const nginxCache = `
	proxy_cache pages;
	proxy_cache_valid any 10m;
	proxy_cache_key $server_port$request_method$host$request_uri;
	proxy_cache_convert_head off;
	proxy_cache_revalidate on;
	add_header X-Cache $upstream_cache_status always;`

// TestNginxCache: a shared cache that goes by Vary and Cache-Control shows
// nobody what is not theirs, and nothing twice that is to be shown once.
func TestNginxCache(t *testing.T) {
	var places []*place
	var sites []testserver.ProxySite
	for _, version := range []string{"1.0", "1.1"} {
		p := &place{name: "HTTP " + version, app: newApp(t)}
		places = append(places, p)
		sites = append(sites, testserver.ProxySite{Name: siteName(p.name), Listen: "ssl",
			Config: nginxTLS() + nginxPass(p.app.addr, version, nginxCache)})
	}
	nginx, err := testserver.StartNginx(sites, "proxy_cache_path DIR/cache keys_zone=pages:1m;")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, nginx) })
	for _, p := range places {
		t.Run(p.name, func(t *testing.T) {
			p.addr = nginx.Addr(siteName(p.name))
			cachedStory(t, p)
		})
	}
}

// TestHAProxyCache is the same with the cache of haproxy, which keeps only what
// says for how long, and nothing that varies with the cookie.
func TestHAProxyCache(t *testing.T) {
	p := &place{app: newApp(t)}
	haproxy, err := testserver.StartHAProxy([]testserver.ProxySite{{Name: "site", Listen: "ssl crt " + certificate.Both, Config: ` filter cache pages
 http-request cache-use pages
 http-response cache-store pages
 http-response set-header X-Cache HIT if !{ srv_id -m found }
 default_backend app`}}, "cache pages\n total-max-size 4\n max-age 600\nbackend app\n server app "+p.app.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, haproxy) })
	p.addr = haproxy.Addr("site")
	cachedStory(t, p)
}

// private are pages that tell who the user is.
var private = []string{"/", "/late", "/started"}

func cachedStory(t *testing.T, p *place) {
	theCacheWorks(t, p)
	ada, bob := newBrowser(t, "https", p.addr), newBrowser(t, "https", p.addr)
	for _, path := range []string{"/messages", "/late/messages", "/started/messages"} {
		ada.post("/login")
		if got := ada.do("HEAD", path, ""); got != "" {
			t.Errorf("HEAD %s has a body: %q", path, got)
		}
		shown := 0
		for range 4 {
			shown += strings.Count(ada.get(path), "Welcome, ada.")
		}
		if shown != 1 {
			t.Errorf("of four loads of %s, %d show the message, want one", path, shown)
		}
	}
	ada.post("/cart")
	bob.post("/cart")
	for n := range 3 {
		for _, path := range private {
			ada.shows(path, "user=ada cart=tea")
			ada.depends(path)
			bob.shows(path, "user= cart=tea")
			bob.depends(path)
		}
		ada.shows("/tagged", "user=ada")
		bob.shows("/tagged", "user=")
		ada.shows("/count", []string{"1", "2", "3"}[n])
	}
	ada.get("/tagged")
	if tag := ada.header.Get("ETag"); tag != `"page of ada"` {
		t.Errorf("the page of ada has ETag %q", tag)
	}

	token := ada.token()
	ada.post("/logout")
	for _, path := range append([]string{"/tagged"}, private...) {
		for who, got := range map[string]string{
			"the old token": ada.with(token, path), "ada's browser": ada.get(path), "a stranger": ada.another().get(path),
		} {
			if strings.Contains(got, "ada") || strings.Contains(got, "tea") {
				t.Errorf("after the logout, %s gets %q at %s", who, got, path)
			}
		}
	}
	for _, path := range []string{"/", "/started"} { // not /late: what a stranger gets there says nothing of cookies
		bob.shows(path, "user= cart=tea")
	}
}

// theCacheWorks: what is everybody's comes out of the cache, else this tests
// nothing.
func theCacheWorks(t *testing.T, p *place) {
	t.Helper()
	for range 3 {
		newBrowser(t, "https", p.addr).shows("/public", "a style sheet")
	}
	if b := newBrowser(t, "https", p.addr); b.get("/public") == "" || b.header.Get("X-Cache") != "HIT" {
		t.Errorf("the cache does not keep a public page: X-Cache is %q", b.header.Get("X-Cache"))
	}
}

// depends fails the test if the response last got may be somebody else's.
func (b *browser) depends(path string) {
	b.t.Helper()
	if vary := b.header.Values("Vary"); !strings.Contains(strings.Join(vary, ","), "Cookie") {
		b.t.Errorf("GET %s: Vary is %q, want Cookie in it", path, vary)
	}
	if hit := b.header.Get("X-Cache"); hit == "HIT" {
		b.t.Errorf("GET %s comes out of the cache", path)
	}
	if control := b.header.Get("Cache-Control"); control != "private" && control != "no-store" {
		b.t.Errorf("GET %s: Cache-Control is %q, want private or no-store", path, control)
	}
}
