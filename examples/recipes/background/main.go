// Background goes on working when the response has left.
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"sync"

	"github.com/chisession/session"
	"github.com/go-chi/chi/v5"
)

var jobs sync.WaitGroup // when the program ends: http.Server.Shutdown, then jobs.Wait
var reports sync.Map    // by user; yours is a table of the database

func order(w http.ResponseWriter, r *http.Request) {
	user := session.FromContext(r).User()     // read it now: the session is released when the handler returns,
	ctx := context.WithoutCancel(r.Context()) // and the context is canceled
	jobs.Go(func() { reports.Store(user, fmt.Sprintf("report of %s (%v)", user, ctx.Err())) })
	w.WriteHeader(http.StatusAccepted)
}

func fetch(w http.ResponseWriter, r *http.Request) {
	session.FromContext(r).NoTouch() // a page that keeps asking is not an active user
	text, _ := reports.Load(session.FromContext(r).User())
	fmt.Fprint(w, text)
}

func routes() http.Handler {
	r := chi.NewRouter()
	r.Use(session.Middleware(session.Config{}))
	r.Post("/report", order)
	r.Get("/report", fetch)
	return r
}

func main() { log.Fatal(http.ListenAndServe("127.0.0.1:8080", routes())) }
