package admin_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chisession/session"
	"github.com/chisession/session/admin"
	"github.com/chisession/session/backend/memory"
)

// TestDeviceName: both lists show the name for a label, and nothing is asked for a
// session that has none.
func TestDeviceName(t *testing.T) {
	inner, err := memory.New(memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer inner.Close()
	store, meter := admin.Measure(inner)
	m, err := session.New(session.Config{Store: store})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for _, label := range []string{"Mozilla/5.0", ""} {
		m.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			s := session.FromContext(r)
			s.SetUser("ada")
			s.SetLabel(label)
		})).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "https://example.com/", nil))
	}
	page, err := admin.New(m, admin.Options{
		Authorize: func(*http.Request) error { return nil },
		Meter:     meter,
		DeviceName: func(label string) string {
			if label != "Mozilla/5.0" {
				t.Errorf("asked for the name of %q", label)
			}
			return "Netscape <of old>"
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, query := range []string{"", "?user=ada"} {
		w := httptest.NewRecorder()
		page.ServeHTTP(w, httptest.NewRequest("GET", "/"+query, nil))
		if body := w.Body.String(); !strings.Contains(body, "Netscape &lt;of old&gt;") || !strings.Contains(body, "(no label)") || strings.Contains(body, "Mozilla") {
			t.Errorf("GET /%s does not show the names:\n%s", query, body)
		}
	}
}
