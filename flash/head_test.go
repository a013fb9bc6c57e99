package flash_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/chisession/session"
	"github.com/chisession/session/flash"
)

// TestTakeOnHeadRemovesNothing: a HEAD request, of a link checker, say, gets no
// body, so the message is still there for the GET that shows it.
func TestTakeOnHeadRemovesNothing(t *testing.T) {
	c := newClient(t, session.Config{})
	c.do(func(r *http.Request, _ *session.Session) { flash.Success(r, "saved") })
	page := c.manager.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		wantMessages(t, flash.Take(r), "success:saved")
	}))
	for range 2 {
		r := httptest.NewRequest(http.MethodHead, "/", nil)
		r.AddCookie(c.cookie)
		page.ServeHTTP(httptest.NewRecorder(), r)
	}
	c.wantTaken("success:saved")
	c.wantTaken()
}
