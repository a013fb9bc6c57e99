// Password logs in by argon2id, ten times a minute and account at most.
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

func hash(password string, salt []byte) []byte {
	return argon2.IDKey([]byte(password), salt, 2, 19<<10, 1, 32) // 2 passes, 19 MiB, 1 thread, as OWASP has it
}

func routes(accounts map[string]account) http.Handler {
	byName := func(r *http.Request) (string, error) { return r.PostFormValue("name"), nil }
	r := chi.NewRouter()
	r.Use(http.NewCrossOriginProtection().Handler, session.Middleware(session.Config{MaxPerUser: 10}))
	r.With(httprate.LimitBy(10, time.Minute, byName), middleware.Throttle(4)).Post("/login", func(w http.ResponseWriter, r *http.Request) {
		name := r.PostFormValue("name")
		a := accounts[name] // nobody's is hashed as well: the time must not tell which names there are
		if subtle.ConstantTimeCompare(hash(r.PostFormValue("password"), a.salt), a.hash) != 1 {
			http.Error(w, "name or password is wrong", http.StatusUnauthorized)
			return
		}
		session.FromContext(r).SetUser(name)
	})
	return r
}

func main() { log.Fatal(http.ListenAndServe("127.0.0.1:8080", routes(nil))) }
