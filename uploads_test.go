package session_test

import (
	"bytes"
	"io"
	"log"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/chisession/session"
)

// TestUploadsLeaveNoFiles: what a handler's form kept in temporary files is gone
// when it has returned, panicked or hijacked.
func TestUploadsLeaveNoFiles(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("file", "large.bin")
	if err != nil {
		t.Fatal(err)
	}
	part.Write(make([]byte, 1<<20))
	form.Close()

	for name, end := range map[string]func(http.ResponseWriter){
		"returns": func(w http.ResponseWriter) { io.WriteString(w, "ok") },
		"panics":  func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
		"hijacks": func(w http.ResponseWriter) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Errorf("Hijack: %v", err)
				return
			}
			conn.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := session.New(session.Config{})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			served := make(chan struct{})
			page := m.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if err := r.ParseMultipartForm(1 << 10); err != nil {
					t.Errorf("ParseMultipartForm: %v", err)
				}
				if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
					t.Errorf("%d temporary files, %v, want 1: this tests nothing", len(files), err)
				}
				end(w)
			}))
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				defer close(served)
				page.ServeHTTP(w, r)
			}))
			server.Config.ErrorLog = log.New(io.Discard, "", 0)
			server.Start()
			res, err := http.Post(server.URL, form.FormDataContentType(), bytes.NewReader(body.Bytes()))
			if err == nil {
				res.Body.Close()
			}
			<-served
			server.Close()
			if files, err := os.ReadDir(dir); err != nil || len(files) != 0 {
				t.Errorf("%d temporary files are left, %v", len(files), err)
			}
		})
	}
}
