package main

import (
	"net/http"
	"testing"

	"github.com/chisession/session"
	"github.com/chisession/session/sessiontest"
)

func TestReport(t *testing.T) {
	c := sessiontest.New(t, session.Config{})
	res := c.Serve(routes(), c.Request("POST", "/report", sessiontest.User("ada")))
	if res.Code != http.StatusAccepted {
		t.Fatalf("POST /report: %d, want 202", res.Code)
	}
	jobs.Wait()
	res = c.Serve(routes(), res.Next("GET", "/report"))
	if got, want := res.Body.String(), "report of ada (<nil>)"; got != want {
		t.Errorf("GET /report: %q, want %q", got, want)
	}
}
