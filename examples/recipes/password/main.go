// Password checks passwords with argon2id: 10 tries a minute for each name, 30 from each address.
package main

import (
	"crypto/subtle"
	"log"
	"net/http"
	"time"

	"github.com/chisession/session"
	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/go-chi/httprate"
	"golang.org/x/crypto/argon2"
)

type account struct{ salt, hash []byte } // salt: 16 bytes of crypto/rand, new for each password
var kib uint32 = 19 << 10                // of memory, with two passes and one thread: OWASP's parameters

func hash(pw string, salt []byte) []byte     { return argon2.IDKey([]byte(pw), salt, 2, kib, 1, 32) }
func byName(r *http.Request) (string, error) { return r.PostFormValue("name"), nil }
func byAddress(r *http.Request) (string, error) {
	return httprate.CanonicalizeIP(middleware.GetClientIP(r.Context())), nil
}

func routes(accounts map[string]account) http.Handler {
	r := chi.NewRouter()
	r.Use(http.NewCrossOriginProtection().Handler, middleware.ClientIPFromRemoteAddr, session.Middleware(session.Config{}))
	r.Use(httprate.LimitBy(30, time.Minute, byAddress), httprate.LimitBy(10, time.Minute, byName), middleware.Throttle(4))
	r.Post("/login", func(w http.ResponseWriter, r *http.Request) {
		if a := accounts[r.PostFormValue("name")]; subtle.ConstantTimeCompare(hash(r.PostFormValue("password"), a.salt), a.hash) != 1 {
			http.Error(w, "name or password is wrong", http.StatusUnauthorized) // an unknown name takes as long
		} else {
			session.FromContext(r).SetUser(r.PostFormValue("name"))
		}
	})
	return r
}

func main() { log.Fatal(http.ListenAndServe("127.0.0.1:8080", routes(nil))) } // accounts: from your database
