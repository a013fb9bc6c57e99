package sessiontest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// A Device is an [http.RoundTripper] that does what a browser with Device Bound
// Session Credentials does, with a key in software: for tests of a program that uses
// package devicebound. It binds a session when the program offers to, and gets a new
// proof before a request that would go out without one.
//
//	jar := sessiontest.NewJar()
//	device := sessiontest.NewDevice(jar, server.Client().Transport)
//	browser := &http.Client{Jar: jar, Transport: device}
//	thief := &http.Client{Jar: jar, Transport: server.Client().Transport}
//
// It takes each request for one that the user has made in a page of the same origin,
// unless the request has a Sec-Fetch-Site: then that is what counts. A test that
// does not want to wait for the end of a proof removes its cookie from the jar.
type Device struct {
	jar  http.CookieJar
	base http.RoundTripper

	mu   sync.Mutex // one registration or refresh at a time, as in a browser
	keys map[string]*deviceKey
}

// A deviceKey is what a device has of one session.
type deviceKey struct {
	private     *ecdsa.PrivateKey
	origin      string // whose session it is
	id, refresh string
	challenge   string // that the program has sent in advance
	cookies     []string
}

// NewDevice returns a device without a key. jar is that of the client that uses it,
// base sends the requests; nil is [http.DefaultTransport].
func NewDevice(jar http.CookieJar, base http.RoundTripper) *Device {
	if base == nil {
		base = http.DefaultTransport
	}
	return &Device{jar: jar, base: base, keys: map[string]*deviceKey{}}
}

// Sessions returns how many sessions the device has keys of.
func (d *Device) Sessions() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.keys)
}

// Forget has the device lose its keys; cookies stay.
func (d *Device) Forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.keys)
}

// RoundTrip implements [http.RoundTripper].
func (d *Device) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	switch r.Header.Get("Sec-Fetch-Site") {
	case "":
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		fallthrough
	case "same-origin", "none": // for others no browser gets a proof
		if err := d.refreshFor(r); err != nil {
			return nil, err
		}
	}
	res, err := d.base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	d.jar.SetCookies(r.URL, res.Cookies())
	for _, offer := range res.Header.Values("Secure-Session-Registration") {
		if err := d.register(r, offer); err != nil {
			res.Body.Close()
			return nil, fmt.Errorf("sessiontest: Device: bind the session: %w", err)
		}
	}
	return res, nil
}

// register binds the session that a response to r has offered to.
func (d *Device) register(r *http.Request, offer string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	algs, params, _ := strings.Cut(offer, ";")
	if !strings.Contains(algs, "ES256") {
		return fmt.Errorf("the offer %q has no algorithm of this device's", offer)
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	point, err := private.PublicKey.Bytes()
	if err != nil {
		return err
	}
	key := map[string]string{"kty": "EC", "crv": "P-256", "x": encode(point[1:33]), "y": encode(point[33:])}
	k := &deviceKey{private: private, origin: originOf(r.URL)}
	res, err := d.post(r, parameter(params, "path"), http.Header{
		"Secure-Session-Response": {k.sign(map[string]any{"jwk": key}, parameter(params, "challenge"))},
	})
	if err != nil || res.StatusCode != http.StatusOK {
		return err // refused: the session stays unbound, and the user sees nothing of it
	}
	return d.take(k, res)
}

// refreshFor gets the proofs that r would go out without.
func (d *Device) refreshFor(r *http.Request) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, k := range d.keys {
		if k.origin == originOf(r.URL) && d.missing(k, r.URL) {
			if err := d.refresh(r, k); err != nil {
				return fmt.Errorf("sessiontest: Device: get a new proof: %w", err)
			}
		}
	}
	d.bringCookies(r)
	return nil
}

// bringCookies has r bring the cookies that are in the jar now, and those that the
// caller has put into r itself.
func (d *Device) bringCookies(r *http.Request) {
	cookies := d.jar.Cookies(r.URL)
	for _, own := range r.Cookies() {
		if !slices.ContainsFunc(cookies, func(c *http.Cookie) bool { return c.Name == own.Name }) {
			cookies = append(cookies, own)
		}
	}
	r.Header.Del("Cookie")
	for _, c := range cookies {
		r.AddCookie(c)
	}
}

// missing reports whether a cookie of k's session is not in the jar.
func (d *Device) missing(k *deviceKey, u *url.URL) bool {
	have := map[string]bool{}
	for _, c := range d.jar.Cookies(u) {
		have[c.Name] = true
	}
	for _, name := range k.cookies {
		if !have[name] {
			return true
		}
	}
	return false
}

// refresh gets a new proof, before r.
func (d *Device) refresh(r *http.Request, k *deviceKey) error {
	for range 3 {
		h := http.Header{"Sec-Secure-Session-Id": {k.id}}
		if k.challenge != "" {
			h.Set("Secure-Session-Response", k.sign(nil, k.challenge))
			k.challenge = ""
		}
		res, err := d.post(r, k.refresh, h)
		switch {
		case err != nil:
			return err
		case res.StatusCode == http.StatusOK:
			return d.take(k, res)
		case res.StatusCode == http.StatusForbidden && res.Header.Get("Secure-Session-Challenge") != "":
			k.challenge = strings.Trim(strings.Split(res.Header.Get("Secure-Session-Challenge"), ";")[0], `"`)
			continue
		case res.StatusCode >= http.StatusInternalServerError:
			r.Header.Set("Secure-Session-Skipped", "server_error")
		default: // the session is over
			delete(d.keys, k.id)
		}
		return nil
	}
	r.Header.Set("Secure-Session-Skipped", "server_error")
	return nil
}

// post sends one of the device's own requests, to where r goes, and takes its
// cookies. The body of the response is closed for all but 200.
func (d *Device) post(r *http.Request, path string, h http.Header) (*http.Response, error) {
	target, err := r.URL.Parse(path)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(r.Context(), http.MethodPost, target.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header = h
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	req.Header.Set("Sec-Fetch-Mode", "no-cors")
	for _, c := range d.jar.Cookies(target) {
		req.AddCookie(c)
	}
	res, err := d.base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		return res, res.Body.Close()
	}
	d.jar.SetCookies(target, res.Cookies())
	return res, nil
}

// take notes what the program says of a session that is bound.
func (d *Device) take(k *deviceKey, res *http.Response) error {
	defer res.Body.Close()
	var said struct {
		ID      string `json:"session_identifier"`
		Refresh string `json:"refresh_url"`
		Cookies []struct {
			Name string `json:"name"`
		} `json:"credentials"`
	}
	text, err := io.ReadAll(res.Body)
	if err == nil {
		err = json.Unmarshal(text, &said)
	}
	if err != nil {
		return err
	}
	k.id, k.refresh, k.cookies = said.ID, said.Refresh, nil
	for _, c := range said.Cookies {
		k.cookies = append(k.cookies, c.Name)
	}
	d.keys[k.id] = k
	return nil
}

// sign returns a token with the challenge in it.
func (k *deviceKey) sign(header map[string]any, challenge string) string {
	if header == nil {
		header = map[string]any{}
	}
	header["alg"], header["typ"] = "ES256", "dbsc+jwt"
	head, _ := json.Marshal(header) // of strings
	body, _ := json.Marshal(map[string]string{"jti": challenge})
	text := encode(head) + "." + encode(body)
	digest := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, k.private, digest[:])
	if err != nil {
		panic(err) // of a key that was made here
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return text + "." + encode(signature)
}

func originOf(u *url.URL) string { return u.Scheme + "://" + u.Host }

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// parameter returns a parameter of a header's value.
func parameter(params, name string) string {
	for param := range strings.SplitSeq(params, ";") {
		if key, value, _ := strings.Cut(strings.TrimSpace(param), "="); key == name {
			return strings.Trim(value, `"`)
		}
	}
	return ""
}
