package main

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/chisession/session/examples/recipes/internal/browser"
)

func TestLogin(t *testing.T) {
	issuer := newIssuer(t)
	provider, err := oidc.NewProvider(t.Context(), issuer.url)
	if err != nil {
		t.Fatal(err)
	}
	h := routes(provider, oauth2.Config{ClientID: "shop", RedirectURL: "http://shop.localhost/callback"})

	t.Run("right", func(t *testing.T) {
		b, back := asked(t, h, issuer)
		b.Want("the callback", http.StatusOK, "ada")(b.Get(back("")))
		b.Want("the same once more", http.StatusForbidden, "did not start here")(b.Get(back("")))
	})
	t.Run("of another browser", func(t *testing.T) {
		b, back := asked(t, h, issuer)
		other := b.Another()
		other.Want("the callback", http.StatusForbidden, "did not start here")(other.Get(back("")))
	})
	t.Run("another state", func(t *testing.T) {
		b, back := asked(t, h, issuer)
		b.Want("the callback", http.StatusForbidden, "did not start here")(b.Get(back("another")))
	})
	t.Run("another nonce", func(t *testing.T) {
		b, back := asked(t, h, issuer)
		issuer.nonce = "another"
		b.Want("the callback", http.StatusForbidden, "not for this login")(b.Get(back("")))
	})
	t.Run("another verifier", func(t *testing.T) {
		b, back := asked(t, h, issuer)
		issuer.challenge = "another"
		b.Want("the callback", http.StatusForbidden, "does not know this login")(b.Get(back("")))
	})
}

// asked begins a login, and returns the browser and what makes the address that
// the issuer sends it back to, with the given state in place of the right one.
func asked(t *testing.T, h http.Handler, issuer *issuer) (*browser.Browser, func(state string) string) {
	t.Helper()
	b := browser.Open(t, h)
	client := *b.Client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	res, err := client.Get(b.URL + "/login")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	there, err := res.Location()
	if err != nil {
		t.Fatal(err)
	}
	query := there.Query()
	issuer.nonce, issuer.challenge = query.Get("nonce"), query.Get("code_challenge")
	return b, func(state string) string {
		if state == "" {
			state = query.Get("state")
		}
		return "/callback?" + url.Values{"code": {"one"}, "state": {state}}.Encode()
	}
}

// An issuer is an OpenID provider whose only user is ada. It gives its tokens
// nonce, and takes the verifier of challenge.
type issuer struct {
	url              string
	key              *rsa.PrivateKey
	nonce, challenge string
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	i := &issuer{key: key}
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	i.url = server.URL
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, map[string]any{"issuer": i.url, "authorization_endpoint": i.url + "/authorize", "token_endpoint": i.url + "/token",
			"jwks_uri": i.url + "/keys", "id_token_signing_alg_values_supported": []string{"RS256"}})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, map[string]any{"keys": []any{map[string]string{"kty": "RSA", "alg": "RS256", "use": "sig",
			"n": encode(key.N.Bytes()), "e": encode(big.NewInt(int64(key.E)).Bytes())}}})
	})
	mux.HandleFunc("POST /token", i.token)
	return i
}

func (i *issuer) token(w http.ResponseWriter, r *http.Request) {
	sum := sha256.Sum256([]byte(r.FormValue("code_verifier")))
	if encode(sum[:]) != i.challenge {
		http.Error(w, `{"error": "invalid_grant"}`, http.StatusBadRequest)
		return
	}
	claims, err := json.Marshal(map[string]any{"iss": i.url, "aud": "shop", "sub": "ada", "nonce": i.nonce, "exp": time.Now().Add(time.Hour).Unix()})
	if err != nil {
		panic(err)
	}
	signed := encode([]byte(`{"alg":"RS256"}`)) + "." + encode(claims)
	sum = sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, i.key, crypto.SHA256, sum[:])
	if err != nil {
		panic(err)
	}
	reply(w, map[string]any{"access_token": "a", "token_type": "Bearer", "id_token": signed + "." + encode(signature)})
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v)
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
