// Oidc logs in at an OpenID provider.
package main

import (
	"context"
	"log"
	"net/http"
	"os"

	"github.com/chisession/session"
	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-chi/chi/v5"
	"golang.org/x/oauth2"
)

type login struct {
	client oauth2.Config
	ids    *oidc.IDTokenVerifier
}

func main() {
	provider, err := oidc.NewProvider(context.Background(), os.Getenv("OIDC_ISSUER"))
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe("127.0.0.1:8080", routes(provider, oauth2.Config{
		ClientID: os.Getenv("OIDC_CLIENT"), ClientSecret: os.Getenv("OIDC_SECRET"), RedirectURL: "https://shop.example/callback",
	})))
}

func routes(provider *oidc.Provider, client oauth2.Config) http.Handler {
	client.Endpoint, client.Scopes = provider.Endpoint(), []string{oidc.ScopeOpenID}
	l := login{client, provider.Verifier(&oidc.Config{ClientID: client.ClientID})}
	r := chi.NewRouter()
	r.Use(session.Middleware(session.Config{}))
	r.Get("/login", l.start)
	r.Get("/callback", l.finish)
	r.Get("/", func(w http.ResponseWriter, r *http.Request) { w.Write([]byte(session.FromContext(r).User())) })
	return r
}
