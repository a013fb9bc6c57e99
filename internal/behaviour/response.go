package behaviour

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"maps"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/backendtest"
)

// responseCases are about the order of storing and answering.
var responseCases = []behaviour{
	each("stored before the header leaves", storedBeforeHeader),
	each("the cookie is on the response after early hints", earlyHints),
	each("a change after the first byte", afterFirstByte),
	each("Save in the handler stores once", saveInHandler),
	each("Reload sees what others stored", reload),
	each("a response of status 500 is stored", status500),
	each("a login after the timeout handler gave up", timeoutHandlerGaveUp),
	once("the request stays as it was sent", requestUnchanged),
	onceAlone("uploads leave no files", uploads),
	onceAlone("uploads leave no files where there is no session", uploadsAside),
}

// A witness stands outside of the session's middleware and notes what passes
// it, and when the store's writes have been done.
type witness struct {
	mu     sync.Mutex
	events []string
}

func (n *witness) note(event string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.events) == 0 || n.events[len(n.events)-1] != event || event == "stored" {
		n.events = append(n.events, event)
	}
}

// take returns what happened since the last take; of equal events in a row
// one, unless they are of the store.
func (n *witness) take() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	events := n.events
	n.events = nil
	return events
}

// watch has n note what happens in a.
func (n *witness) watch(a *app) {
	a.calls.After = func(_ context.Context, call backendtest.Call, err error) error {
		if call.Op != backendtest.OpLoad {
			n.note("stored")
		}
		return err
	}
	a.around = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(&witnessed{w, n}, r)
		})
	}
}

// witnessed has what the server's writer has.
type witnessed struct {
	http.ResponseWriter
	n *witness
}

func (w *witnessed) WriteHeader(code int) {
	w.n.note("header")
	w.ResponseWriter.WriteHeader(code)
}

func (w *witnessed) Write(p []byte) (int, error) {
	w.n.note("body")
	return w.ResponseWriter.Write(p)
}

func (w *witnessed) ReadFrom(src io.Reader) (int64, error) {
	w.n.note("body")
	return w.ResponseWriter.(io.ReaderFrom).ReadFrom(src)
}

func (w *witnessed) Flush() {
	w.n.note("body")
	w.ResponseWriter.(http.Flusher).Flush()
}

func (w *witnessed) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.n.note("hijack")
	return w.ResponseWriter.(http.Hijacker).Hijack()
}

// responses are the ways to respond; each after a change of the session.
var responses = map[string]struct {
	write  func(w http.ResponseWriter, r *http.Request)
	status int
	body   string
}{
	"redirect": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/next", http.StatusSeeOther) }, 303, "<a href=\"/next\">See Other</a>.\n\n"},
	"empty":    {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(200) }, 200, ""},
	"nothing":  {func(http.ResponseWriter, *http.Request) {}, 200, ""},
	"no bytes": {func(w http.ResponseWriter, _ *http.Request) { w.Write(nil) }, 200, ""},
	"many writes": {func(w http.ResponseWriter, _ *http.Request) {
		for range 5000 {
			io.WriteString(w, "x")
		}
	}, 200, strings.Repeat("x", 5000)},
	"length": {func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "5")
		w.Write([]byte("hello"))
	}, 200, "hello"},
	"flush": {func(w http.ResponseWriter, _ *http.Request) {
		w.(http.Flusher).Flush()
		io.WriteString(w, "late")
	}, 200, "late"},
	"flush by controller": {func(w http.ResponseWriter, _ *http.Request) {
		if err := http.NewResponseController(w).Flush(); err != nil {
			io.WriteString(w, err.Error())
		}
	}, 200, ""},
	"read from": {func(w http.ResponseWriter, _ *http.Request) {
		w.(io.ReaderFrom).ReadFrom(strings.NewReader("copied"))
	}, 200, "copied"},
	"copy":     {func(w http.ResponseWriter, _ *http.Request) { io.Copy(w, strings.NewReader("copied")) }, 200, "copied"},
	"error":    {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", 404) }, 404, "no\n"},
	"error500": {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", 500) }, 500, "no\n"},
	"header twice": {func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(202)
		w.WriteHeader(500)
		io.WriteString(w, "x")
	}, 202, "x"},
	"file": {func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, r.FormValue("file")) }, 200, strings.Repeat("file", 30_000)},
	"range": {func(w http.ResponseWriter, r *http.Request) {
		r.Header.Set("Range", "bytes=4-7")
		http.ServeContent(w, r, "a.txt", time.Unix(1, 0), strings.NewReader("0123456789"))
	}, 206, "4567"},
	"hijack": {func(w http.ResponseWriter, _ *http.Request) {
		conn, buf, err := w.(http.Hijacker).Hijack()
		if err != nil {
			io.WriteString(w, err.Error())
			return
		}
		defer conn.Close()
		io.WriteString(buf, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n")
		w.Header().Write(buf) // the cookie, too
		io.WriteString(buf, "\r\nraw")
		buf.Flush()
	}, 200, "raw"},
}

// servedFile returns the path of the file that the response "file" is about.
func servedFile(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "a.txt")
	if err := os.WriteFile(file, []byte(responses["file"].body), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func storedBeforeHeader(t *testing.T, k Kind) {
	a := newApp(t, session.Config{Store: k.open(t)})
	var n witness
	n.watch(a)
	file := servedFile(t)
	gate := make(chan struct{})
	a.handle("/answer", func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		s.Set("a", r.FormValue("v"))
		responses[r.FormValue("by")].write(w, r)
		if r.FormValue("wait") != "" {
			http.NewResponseController(w).Flush()
			<-gate
		}
	})
	a.basics()
	for by, want := range responses {
		t.Run(strings.ReplaceAll(by, " ", "_"), func(t *testing.T) {
			b := a.browser(t)
			for i, calls := range []string{"Create", "Load Update"} {
				a.calls.Reset()
				n.take()
				got := b.get(fmt.Sprintf("/answer?v=%d&by=%s&file=%s", i, strings.ReplaceAll(by, " ", "+"), file))
				got.want(t, want.status, want.body)
				a.wantCalls(t, calls)
				if events := n.take(); len(events) == 0 && by != "nothing" || len(events) > 0 && (events[0] != "stored" || slices.Contains(events[1:], "stored")) {
					t.Errorf("what happened: %q, want stored first, and once", events)
				}
				if (got.session != "") != (i == 0) {
					t.Errorf("request %d has the cookie: %v", i, got.session != "")
				}
				b.get("/get?k=a").want(t, 200, fmt.Sprint(i))
			}
		})
	}
	t.Run("while_the_handler_runs", func(t *testing.T) {
		// The client has the header, the handler has not returned.
		b := a.browser(t)
		b.get("/set?k=a&v=before")
		r := b.request("GET", "/answer?v=after&by=redirect&wait=1")
		r.Header.Set("Cookie", a.name+"="+b.token())
		resp, err := b.client.Transport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		b.get("/get?k=a").want(t, 200, "after")
		close(gate)
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	})
}

func earlyHints(t *testing.T, k Kind) {
	a := newApp(t, session.Config{Store: k.open(t)})
	a.handle("/", func(w http.ResponseWriter, _ *http.Request, s *session.Session) {
		s.Set("a", 1)
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		a.wantCalls(t, "")
		w.WriteHeader(http.StatusProcessing)
		s.Set("b", 2)
		w.WriteHeader(http.StatusOK)
		a.wantCalls(t, "Create")
		io.WriteString(w, "done")
	})
	b := a.browser(t)
	var hints []int
	r := b.request("GET", "/")
	r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			hints = append(hints, code)
			if len(h["Set-Cookie"]) > 0 || code == 103 && h.Get("Link") == "" {
				t.Errorf("the %d response has %v", code, h)
			}
			return nil
		},
	}))
	got := b.do(r)
	got.want(t, 200, "done")
	if got.session == "" || !slices.Equal(hints, []int{103, 102}) {
		t.Errorf("informational responses %v, then one with the session's cookie: %v; want 103, 102 and one", hints, got.session != "")
	}
	a.wantCalls(t, "Create")
}

func afterFirstByte(t *testing.T, k Kind) {
	a := newApp(t, session.Config{Store: k.open(t)})
	a.basics()
	changes := map[string]func(s *session.Session) error{
		"set":      func(s *session.Session) error { s.Set("late", 1); return s.Save() },
		"set only": func(s *session.Session) error { s.Set("late", 1); return s.Err() },
		"update": func(s *session.Session) error {
			_, err := session.Update(s, "late", func(n int) int { return n + 1 })
			return err
		},
		"renew":   func(s *session.Session) error { s.Renew(); return s.Save() },
		"user":    func(s *session.Session) error { s.SetUser("ada"); return s.Save() },
		"delete":  func(s *session.Session) error { s.Delete("a"); return s.Save() },
		"destroy": func(s *session.Session) error { s.Destroy(); return s.Save() },
		"again":   func(s *session.Session) error { s.Destroy(); s.Set("late", 1); return s.Save() },
	}
	a.handle("/late", func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		io.WriteString(w, "first byte; ")
		fmt.Fprint(w, changes[strings.ReplaceAll(r.FormValue("change"), "_", " ")](s))
	})
	refused := fmt.Sprint("first byte; ", session.ErrHeadersSent)
	const fine = "first byte; <nil>"
	for _, tt := range []struct{ change, isNew, exists, calls string }{
		{"set", refused, fine, "Load Update"},
		{"set_only", refused, fine, "Load Update"},
		{"update", refused, fine, "Load Update"},
		{"renew", refused, refused, "Load"},
		{"user", refused, refused, "Load"},
		{"delete", fine, fine, "Load Update"},
		{"destroy", fine, fine, "Load " + removing(a)},
		{"again", refused, refused, "Load " + removing(a)},
	} {
		before := a.records(t)
		a.calls.Reset()
		got := a.browser(t).get("/late?change=" + tt.change)
		got.want(t, 200, tt.isNew)
		got.wantNoCookie(t)
		a.wantCalls(t, "")
		a.wantRecords(t, before)
		if errors := len(a.log.lines("ERROR", "header is sent")); (errors > 0) != (tt.isNew == refused) && tt.change == "set" {
			t.Errorf("%s of a new session: %d errors in the log", tt.change, errors)
		}

		b := a.browser(t)
		b.get("/set?k=a&v=1")
		token := b.token()
		a.calls.Reset()
		got = b.get("/late?change=" + tt.change)
		got.want(t, 200, tt.exists)
		got.wantNoCookie(t)
		a.wantCalls(t, tt.calls)
		b.setToken(token)
		late, was := b.get("/get?k=late").body, b.get("/get?k=a").body
		want := map[string]string{"set": "1 1", "set_only": "1 1", "update": "1 1", "renew": "<nil> 1", "user": "<nil> 1"}[tt.change]
		if want == "" {
			want = "<nil> <nil>"
		}
		if late+" "+was != want {
			t.Errorf("%s: afterwards late and a are %q, want %q", tt.change, late+" "+was, want)
		}
	}
}

// removing returns the store calls of a logout.
func removing(a *app) string {
	if backend.AbilitiesOf(a.store).VersionedDeleter != nil {
		return "DeleteVersion"
	}
	return "Update Delete"
}

func saveInHandler(t *testing.T, k Kind) {
	a := newApp(t, session.Config{Store: k.open(t)})
	a.basics()
	ways := map[string]func(s *session.Session){
		"save":   func(s *session.Session) { s.Set("a", 2); save(t, s); save(t, s) },
		"reload": func(s *session.Session) { s.Set("a", 3); save(t, s); check(t, s.Reload()); wantValue(t, s, "a", 3) },
		"twice":  func(s *session.Session) { s.Set("a", 4); save(t, s); s.Set("a", 5); save(t, s) },
		"undone": func(s *session.Session) { s.Set("a", 9); check(t, s.Reload()); wantValue(t, s, "a", 5) },
		"update": func(s *session.Session) {
			_, err := session.Update(s, "a", func(n int) int { return n + 1 })
			check(t, err)
			save(t, s)
		},
		"late": func(s *session.Session) { s.Set("a", 7); save(t, s); s.Set("b", 1) },
	}
	a.handle("/way", func(_ http.ResponseWriter, r *http.Request, s *session.Session) { ways[r.FormValue("w")](s) })
	b := a.browser(t)
	b.get("/way?w=save").want(t, 200, "")
	a.wantCalls(t, "Create")
	for _, tt := range [][2]string{
		{"reload", "Load Update Load"}, {"twice", "Load Update Update"}, {"undone", "Load Load"}, {"update", "Load Update"}, {"late", "Load Update Update"}, {"late", "Load"},
	} {
		a.calls.Reset()
		b.get("/way?w="+tt[0]).want(t, 200, "")
		a.wantCalls(t, tt[1])
	}
	b.get("/get?k=a").want(t, 200, "7")
	b.get("/get?k=b").want(t, 200, "1")
}

func wantValue(t *testing.T, s *session.Session, key string, want any) {
	t.Helper()
	if got := s.Get(key); got != want {
		t.Errorf("Get(%q) = %v, want %v", key, got, want)
	}
}

func reload(t *testing.T, k Kind) {
	a := newApp(t, session.Config{Store: k.open(t)})
	a.basics()
	meanwhile := map[string]string{"set": "/set?k=a&v=other", "destroy": "/destroy", "renew": "/renew"}
	a.handle("/reload", func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		s.Set("mine", 1)
		other := a.browser(t)
		other.setToken(s.Token())
		other.get(meanwhile[r.FormValue("meanwhile")])
		err := s.Reload()
		switch {
		case errors.Is(err, session.ErrDestroyed):
			io.WriteString(w, "destroyed ")
		case errors.Is(err, session.ErrSuperseded):
			io.WriteString(w, "superseded ")
		case err != nil:
			t.Errorf("Reload: %v", err)
		}
		fmt.Fprintf(w, "%v %v %d", s.Get("a"), s.Get("mine"), s.Len())
	})
	for _, tt := range [][2]string{{"set", "other <nil> 1"}, {"destroy", "destroyed <nil> <nil> 0"}, {"renew", "superseded <nil> <nil> 0"}} {
		b := a.browser(t)
		b.get("/set?k=a&v=before")
		got := b.get("/reload?meanwhile=" + tt[0])
		got.want(t, 200, tt[1])
		got.wantNoCookie(t)
	}
	// A new session has nothing to read anew: it forgets what was Set.
	a.handle("/new", func(w http.ResponseWriter, _ *http.Request, s *session.Session) {
		s.Set("a", 1)
		fmt.Fprint(w, s.Reload(), s.Get("a"))
	})
	got := a.browser(t).get("/new")
	got.want(t, 200, "<nil> <nil>")
	got.wantNoCookie(t)
	// The store fails: Reload says so, and it is for the handler to decide.
	a.handle("/fails", func(w http.ResponseWriter, _ *http.Request, s *session.Session) {
		a.calls.On(backendtest.OpLoad, 1, backendtest.Fail(errTest))
		fmt.Fprint(w, errors.Is(s.Reload(), errTest))
	})
	b := a.browser(t)
	b.get("/set?k=a&v=1")
	b.get("/fails").want(t, 200, "true")
	b.get("/get?k=a").want(t, 200, "1")
}

func status500(t *testing.T, k Kind) {
	a := newApp(t, session.Config{Store: k.open(t)})
	a.basics()
	a.handle("/500", func(w http.ResponseWriter, _ *http.Request, s *session.Session) {
		s.Set("attempts", 1)
		http.Error(w, "went wrong", 500)
	})
	b := a.browser(t)
	got := b.get("/500")
	got.want(t, 500, "went wrong\n")
	if got.session == "" {
		t.Error("no cookie")
	}
	a.wantCalls(t, "Create")
	b.get("/get?k=attempts").want(t, 200, "1")
	b.get("/500").want(t, 500, "went wrong\n")
	if !slices.Equal(names(got.setCookie), []string{a.name}) {
		t.Errorf("cookies %q", names(got.setCookie))
	}
}

// timeoutHandlerGaveUp: http.TimeoutHandler, outside, has sent its own
// response when the handler logs in. The browser will never have the new
// token, so the old one stays alive.
func timeoutHandlerGaveUp(t *testing.T, k Kind) {
	var failed []error
	finished := make(chan struct{})
	store := k.open(t)
	a := newApp(t, session.Config{Store: store, On: onFailed(func(err error) { failed = append(failed, err) })})
	a.around = func(next http.Handler) http.Handler {
		slow := http.TimeoutHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer func() { finished <- struct{}{} }()
			next.ServeHTTP(w, r)
		}), 10*time.Millisecond, "too slow")
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.URL.Path, "/slow/") {
				slow.ServeHTTP(w, r)
			} else {
				next.ServeHTTP(w, r)
			}
		})
	}
	a.play(nil)
	var returned error
	a.handle("/slow/{deed}", func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		<-r.Context().Done()
		returned = deeds[r.PathValue("deed")](s)
		io.WriteString(w, "done")
	})
	for _, tt := range []struct {
		deed, want string
		fails      bool
	}{
		{"login", `"" a=1 cart=tea`, true}, {"renew", `"" a=1 cart=tea`, true}, {"setrenew", `"" a=1 cart=tea`, true},
		{"set", `"" a=1 cart=tea late=true`, false}, {"update", `"" a=1 cart=tea n=1`, false}, {"save", `"" a=1 cart=tea late=true`, false},
		{"logout", "none", false},
	} {
		b := a.browser(t)
		b.get("/start").want200(t)
		failed = nil
		b.get("/slow/"+tt.deed).wantNoCookie(t).want(t, 503, "too slow")
		<-finished
		b.wantState(tt.want)
		if tt.fails != (len(failed) == 1) || returned != nil {
			t.Errorf("%s: Config.On got %v, the deed returned %v", tt.deed, failed, returned)
		}
	}
	before := a.records(t)
	for _, deed := range []string{"set", "login", "update", "save"} {
		a.browser(t).get("/slow/"+deed).wantNoCookie(t).want(t, 503, "too slow")
		<-finished
		if stores := deed == "update" || deed == "save"; stores != (returned != nil) {
			t.Errorf("%s of a new session returned %v", deed, returned)
		}
	}
	a.wantRecords(t, before)
}

// requestUnchanged: the handler sees the request as it was sent.
// Its body has not been read, and its form not been parsed.
func requestUnchanged(t *testing.T) {
	m := newManager(t, session.Config{})
	_, token := visit(m, "", setOne)
	for _, sent := range []string{"", token, UnknownToken(), "malformed"} {
		form := url.Values{"beegosessionID": {token}, "a": {"1"}}.Encode()
		r := httptest.NewRequest("POST", "https://example.com/path?x=1&beegosessionID="+token, strings.NewReader(form))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header["Cookie"] = []string{"other=1; beegosessionID=" + sent, "more=2"}
		header, requestURI, target := r.Header.Clone(), r.RequestURI, r.URL.String()
		ran := false
		m.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, got *http.Request) {
			ran = true
			s := session.FromContext(got)
			s.Set("a", 2)
			s.Renew()
			if !maps.EqualFunc(got.Header, header, func(a, b []string) bool { return fmt.Sprint(a) == fmt.Sprint(b) }) || got.RequestURI != requestURI || got.URL.String() != target {
				t.Errorf("the handler sees other headers (%d of %d) or another URL", len(got.Header), len(header))
			}
			if got.Form != nil || got.PostForm != nil || got.MultipartForm != nil {
				t.Error("the form has been parsed")
			}
			if body, err := io.ReadAll(got.Body); string(body) != form || err != nil {
				t.Errorf("the body is %d bytes, %v; want %d", len(body), err, len(form))
			}
		})).ServeHTTP(httptest.NewRecorder(), r)
		if !ran {
			t.Error("the handler did not run")
		}
	}
}

// An uploader sends forms with a file that goes into the directory dir.
type uploader struct {
	dir, contentType string
	form             []byte
}

func newUploader(t *testing.T) *uploader {
	t.Helper()
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
	return &uploader{dir, form.FormDataContentType(), body.Bytes()}
}

// parse is what a handler does with the form.
func (u *uploader) parse(t *testing.T, r *http.Request) {
	t.Helper()
	if err := r.ParseMultipartForm(1 << 10); err != nil {
		t.Errorf("ParseMultipartForm: %v", err)
	}
	if files, err := os.ReadDir(u.dir); err != nil || len(files) != 1 {
		t.Errorf("%d temporary files, %v, want 1: this tests nothing", len(files), err)
	}
}

// send has h serve a form, and looks for what it left behind.
func (u *uploader) send(t *testing.T, h http.Handler) {
	t.Helper()
	served := make(chan struct{})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(served)
		h.ServeHTTP(w, r)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Start()
	res, err := http.Post(server.URL, u.contentType, bytes.NewReader(u.form))
	if err == nil {
		res.Body.Close()
	}
	<-served
	server.Close()
	if files, err := os.ReadDir(u.dir); err != nil || len(files) != 0 {
		t.Errorf("%d temporary files are left, %v", len(files), err)
	}
}

// uploads: what a handler's form kept in temporary files is gone
// when it is over, as net/http has it for requests of its own.
func uploads(t *testing.T) {
	u := newUploader(t)
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
			m := newManager(t, session.Config{})
			u.send(t, m.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				u.parse(t, r)
				end(w)
			})))
		})
	}
}

// uploadsAside: a handler that is told why it has no session gets another copy of
// the request, which may parse a form as well.
func uploadsAside(t *testing.T) {
	u := newUploader(t)
	for name, cfg := range map[string]session.Config{
		"skipped":  {Skip: func(*http.Request) bool { return true }},
		"disabled": {Disabled: true},
		"failed":   {ErrorHandler: func(_ http.ResponseWriter, r *http.Request, _ error) { u.parse(t, r) }},
	} {
		t.Run(name, func(t *testing.T) {
			cfg.Logger = slog.New(slog.DiscardHandler)
			m := newManager(t, cfg)
			u.send(t, m.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if name == "failed" {
					session.FromContext(r).Set("k", make(chan int))
					return
				}
				u.parse(t, r)
			})))
		})
	}
}
