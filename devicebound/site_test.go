package devicebound_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session"
	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/backendtest"
	"github.com/chisession/session/backend/memory"
	"github.com/chisession/session/devicebound"
	"github.com/chisession/session/sessiontest"
)

const origin = "https://example.com"

// A site is a program with bound sessions, and what happens to them.
type site struct {
	*testing.T
	m       *session.Manager
	binding *devicebound.Binding
	fault   *backendtest.Fault // before the store

	mu     sync.Mutex // guards events
	events []session.Event
}

// newSite returns a site on a store in memory.
func newSite(t *testing.T, o devicebound.Options, change ...func(*session.Config)) *site {
	t.Helper()
	return newSiteOn(t, memoryStore(t), o, change...)
}

func memoryStore(t *testing.T) backend.Store {
	t.Helper()
	store, err := memory.New(memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}

func newSiteOn(t *testing.T, store backend.Store, o devicebound.Options, change ...func(*session.Config)) *site {
	t.Helper()
	s := &site{T: t, fault: backendtest.NewFault(store)}
	cfg := session.Config{Store: s.fault.Store(), SweepEvery: -1, On: func(_ context.Context, e session.Event) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.events = append(s.events, e)
	}}
	for _, f := range change {
		f(&cfg)
	}
	var err error
	if s.m, err = session.New(cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.m.Close() })
	if s.binding, err = devicebound.New(s.m, o); err != nil {
		t.Fatal(err)
	}
	return s
}

// ServeHTTP is the program: pages that log in and out, and one that says who is
// there.
func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.m.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sess := session.FromContext(r)
		switch r.URL.Path {
		case "/login":
			sess.SetUser(r.FormValue("user"))
		case "/logout":
			sess.Destroy()
		case "/again":
			sess.Destroy()
			sess.Set("message", "signed out")
		case "/set":
			sess.Set("cart", "tea")
		case "/renew":
			sess.Renew()
		}
		fmt.Fprintf(w, "%s bound=%t", sess.User(), devicebound.Bound(r))
	})).ServeHTTP(w, r)
}

// RoundTrip makes s what a client sends its requests to, without a network.
func (s *site) RoundTrip(r *http.Request) (*http.Response, error) { return served{s}.RoundTrip(r) }

// served is a handler as what a client sends its requests to.
type served struct{ http.Handler }

// RoundTrip serves r.
func (s served) RoundTrip(r *http.Request) (*http.Response, error) {
	in := httptest.NewRequest(r.Method, r.URL.String(), r.Body)
	in.Header = r.Header.Clone()
	w := httptest.NewRecorder()
	s.ServeHTTP(w, in)
	return w.Result(), nil
}

// inTurn is a load balancer that sends each request to another process.
type inTurn struct {
	sites []*site
	next  atomic.Int32
}

// RoundTrip makes it what a client sends its requests to.
func (t *inTurn) RoundTrip(r *http.Request) (*http.Response, error) {
	return t.sites[int(t.next.Add(1))%len(t.sites)].RoundTrip(r)
}

// alarms returns the users of whose sessions a token was refused, and forgets
// all events.
func (s *site) alarms() (users []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.events {
		if e.Kind == session.EventRejected && e.Reason == session.ReasonUnproven {
			users = append(users, e.User)
		}
	}
	s.events = nil
	return users
}

// A browser is a client with a jar and, if it knows how to bind, a device.
type browser struct {
	*testing.T
	jar    http.CookieJar
	device *sessiontest.Device
	client *http.Client
}

// browser returns one with a device.
func (s *site) browser(t *testing.T) *browser {
	jar, _ := cookiejar.New(nil)
	device := sessiontest.NewDevice(jar, s)
	return &browser{t, jar, device, &http.Client{Jar: jar, Transport: device}}
}

// thief returns one with the cookies of b whose name ends so, and no device.
func (s *site) thief(b *browser, suffixes ...string) *browser {
	jar, _ := cookiejar.New(nil)
	u := b.url()
	for _, c := range b.jar.Cookies(u) {
		if slices.ContainsFunc(suffixes, func(suffix string) bool { return strings.HasSuffix(c.Name, suffix) }) {
			jar.SetCookies(u, []*http.Cookie{{Name: c.Name, Value: c.Value, Path: "/", Secure: true}})
		}
	}
	return &browser{b.T, jar, nil, &http.Client{Jar: jar, Transport: s}}
}

// do sends a request, and returns the response with its body.
func (b *browser) do(method, path string, header ...string) (*http.Response, string) {
	b.Helper()
	r, err := http.NewRequest(method, origin+path, nil)
	if err != nil {
		b.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := b.client.Do(r)
	if err != nil {
		b.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		b.Fatal(err)
	}
	return res, string(body)
}

// gets sends a GET, and expects the body.
func (b *browser) gets(path, want string) {
	b.Helper()
	if res, body := b.do("GET", path); body != want || res.StatusCode != http.StatusOK {
		b.Errorf("GET %s: status %d, %q; want %q", path, res.StatusCode, body, want)
	}
}

func (b *browser) url() *url.URL {
	b.Helper()
	u, err := url.Parse(origin)
	if err != nil {
		b.Fatal(err)
	}
	return u
}

// dropProof is as if the proof were over.
func (b *browser) dropProof() {
	b.jar.SetCookies(b.url(), []*http.Cookie{{Name: proofName, Path: "/", MaxAge: -1}})
}

// cookie returns the value of the cookie of that name, empty if there is none.
func (b *browser) cookie(name string) string {
	for _, c := range b.jar.Cookies(b.url()) {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

const (
	sidName   = "beegosessionID"
	proofName = "beegosessionID_device"
)

// login logs ada in with a device, which binds the session.
func (s *site) login(t *testing.T) *browser {
	t.Helper()
	b := s.browser(t)
	b.gets("/login?user=ada", "ada bound=false")
	if b.device.Sessions() != 1 || b.cookie(proofName) == "" {
		t.Fatalf("after the login the device has %d keys", b.device.Sessions())
	}
	b.gets("/", "ada bound=true")
	return b
}

// A signer makes tokens as no browser would.
type signer struct {
	alg  string
	key  crypto.Signer
	head map[string]any // more of the header
	body map[string]any // more of the claims
}

func newES256(t testing.TB) *signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &signer{alg: "ES256", key: key}
}

func newRS256(t testing.TB, bits int) *signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return &signer{alg: "RS256", key: key}
}

// token returns a token with the challenge, and with the key for a registration.
func (s *signer) token(challenge string, registers bool) string {
	head := map[string]any{"alg": s.alg, "typ": "dbsc+jwt"}
	if registers {
		head["jwk"] = s.jwk()
	}
	body := map[string]any{"jti": challenge}
	for k, v := range s.head {
		head[k] = v
	}
	for k, v := range s.body {
		body[k] = v
	}
	text := b64(encoded(head)) + "." + b64(encoded(body))
	return text + "." + b64(s.sign(text))
}

func (s *signer) sign(text string) []byte {
	digest := sha256.Sum256([]byte(text))
	switch key := s.key.(type) {
	case *ecdsa.PrivateKey:
		r, n, err := ecdsa.Sign(rand.Reader, key, digest[:])
		if err != nil {
			panic(err)
		}
		return append(r.FillBytes(make([]byte, 32)), n.FillBytes(make([]byte, 32))...)
	case *rsa.PrivateKey:
		signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
		if err != nil {
			panic(err)
		}
		return signature
	}
	return nil
}

func (s *signer) jwk() map[string]any {
	switch key := s.key.(type) {
	case *ecdsa.PrivateKey:
		point, err := key.PublicKey.Bytes()
		if err != nil {
			panic(err)
		}
		return map[string]any{"kty": "EC", "crv": "P-256", "x": b64(point[1:33]), "y": b64(point[33:])}
	case *rsa.PrivateKey:
		return map[string]any{"kty": "RSA", "n": b64(key.N.Bytes()), "e": b64(big.NewInt(int64(key.E)).Bytes())}
	}
	return nil
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func encoded(v any) []byte {
	var b bytes.Buffer
	if err := json.NewEncoder(&b).Encode(v); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// forgedOffer returns the challenge of an offer, as whoever has a session's token can
// make it.
func forgedOffer(t testing.TB, token, id string) string {
	t.Helper()
	parsed, err := uuid.Parse(id)
	if err != nil {
		t.Fatal(err)
	}
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(time.Now().UnixMilli()))
	mac := hmac.New(sha256.New, []byte(token))
	mac.Write([]byte{'o'})
	mac.Write(ms[:])
	mac.Write(parsed[:])
	return b64(mac.Sum(ms[:]))
}

// challengeOf returns the challenge in a header.
func challengeOf(t testing.TB, value string) string {
	t.Helper()
	_, rest, _ := strings.Cut(value, `challenge="`)
	if rest == "" {
		rest = strings.TrimPrefix(value, `"`)
	}
	challenge, _, ok := strings.Cut(rest, `"`)
	if !ok {
		t.Fatalf("no challenge in %q", value)
	}
	return challenge
}
