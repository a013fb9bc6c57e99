//go:build servers

package beego

import (
	"bufio"
	"cmp"
	"context"
	"database/sql"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/gomodule/redigo/redis"

	"github.com/chisession/session"
	_ "github.com/chisession/session/backend/file"
	_ "github.com/chisession/session/backend/mysql"
	"github.com/chisession/session/cookie"
	"github.com/chisession/session/migrate"
)

// envProcess has the test binary be one process of an application.
const envProcess = "MIGRATE_BEEGO_PROCESS"

// serveProcess serves an application until standard input ends. It prints its
// address.
func serveProcess(args []string) error {
	var cfg session.Config
	flags := flag.NewFlagSet("process", flag.ContinueOnError)
	flags.StringVar(&cfg.Provider, "provider", "", "of the new sessions")
	flags.StringVar(&cfg.SavePath, "save-path", "", "of the new sessions")
	flags.IntVar(&cfg.MaxPerUser, "max-per-user", 0, "sessions a user may have")
	flags.StringVar(&cfg.Cookie.Name, "cookie", "", "name of the new cookie")
	kind := flags.String("old", "", "redis, mysql or files")
	at := flags.String("at", "", "where the old sessions are")
	if err := flags.Parse(args); err != nil {
		return err
	}
	m, err := session.New(cfg)
	if err != nil {
		return err
	}
	defer m.Close()
	source, err := sourceAt(*kind, *at)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: processRoutes(m, source), ReadHeaderTimeout: 10 * time.Second}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		server.Close()
	}()
	fmt.Println(listener.Addr())
	if err := server.Serve(listener); err != http.ErrServerClosed {
		return err
	}
	return nil
}

func sourceAt(kind, at string) (migrate.Source, error) {
	switch kind {
	case "redis":
		return Redis(&redis.Pool{Dial: func() (redis.Conn, error) { return redis.Dial("tcp", at) }, MaxIdle: 8}), nil
	case "mysql":
		db, err := sql.Open("mysql", at)
		return MySQL(db, "", 0), err
	}
	return Files(at, 0)
}

func processRoutes(m *session.Manager, source migrate.Source) http.Handler {
	var adopted atomic.Int64
	r := chi.NewRouter()
	r.Get("/count", func(w http.ResponseWriter, r *http.Request) {
		infos, err := m.Sessions(r.Context(), r.FormValue("user"))
		fmt.Fprint(w, len(infos), " ", adopted.Load(), " ", err)
	})
	r.Group(func(r chi.Router) {
		r.Use(m.Middleware, Adopt(m, source, migrate.Options{Adopted: func(r *http.Request, s *session.Session, values map[string]any) error {
			adopted.Add(1)
			s.SetUser(fmt.Sprint(values["uid"]))
			return nil
		}}))
		r.Get("/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, session.FromContext(r).User()) })
		r.Get("/login", func(_ http.ResponseWriter, r *http.Request) { session.FromContext(r).SetUser(r.FormValue("user")) })
	})
	return r
}

// A process is one of an application's.
type process struct {
	t    *testing.T
	base string
}

func startProcess(t *testing.T, args ...string) *process {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), envProcess+"=1")
	var log strings.Builder
	cmd.Stderr = &log
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		if err := cmd.Wait(); err != nil || strings.Contains(log.String(), "ERROR") {
			t.Errorf("the process ended with %v, and said:\n%s", err, log.String())
		}
	})
	addr, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("the process did not start (%v):\n%s", err, log.String())
	}
	return &process{t, "http://" + strings.TrimSpace(addr)}
}

// get sends a request with one cookie, and returns status, body and the new
// token.
func (p *process) get(path, name, value string) (status int, text, token string) {
	r, err := http.NewRequest("GET", p.base+path, nil)
	if err != nil {
		p.t.Error(err)
		return 0, "", ""
	}
	if name != "" {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		p.t.Errorf("GET %s: %v", path, err)
		return 0, "", ""
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Errorf("GET %s: %v", path, err)
	}
	for _, c := range resp.Cookies() {
		if len(c.Value) == 64 {
			token = c.Value
		}
	}
	return resp.StatusCode, string(b), token
}

// count returns the number of a user's sessions, and that of all adoptions
// by this process.
func (p *process) count(user string) (sessions, adopted int) {
	_, text, _ := p.get("/count?user="+user, "", "")
	if n, err := fmt.Sscan(text, &sessions, &adopted); n != 2 {
		p.t.Errorf("count of %s: %q, %v", user, text, err)
	}
	return sessions, adopted
}

// shared are places that two processes share: for old sessions, and the
// arguments of a process that keeps new ones beside them.
func shared(t *testing.T) map[string]struct {
	place place
	args  []string
} {
	inDB, dsn := inMySQLAt(t)
	files := inFiles(t)
	dir := files.source.(*FileSource).dir
	return map[string]struct {
		place place
		args  []string
	}{
		"redis": {inRedis(t), []string{"-provider", "redis", "-save-path", redisServer.Addr(), "-old", "redis", "-at", redisServer.Addr()}},
		"mysql": {inDB, []string{"-provider", "mysql", "-save-path", dsn, "-old", "mysql", "-at", dsn}},
		"files": {files, []string{"-provider", "file", "-save-path", t.TempDir() + "/sessions", "-old", "files", "-at", dir}},
	}
}

// adoptRounds is how many users come over at each place: ROUNDS, or 20.
func adoptRounds(t *testing.T) int {
	t.Helper()
	text := cmp.Or(os.Getenv("ROUNDS"), "20")
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("ROUNDS=%s is no number of rounds", text)
	}
	return n
}

// TestTwoProcessesAdoptOnce: of ten first requests at once, in two processes,
// every one gets the user's one session, whatever MaxPerUser is, and it ends no
// session that may stay.
func TestTwoProcessesAdoptOnce(t *testing.T) {
	const requests = 10
	rounds := adoptRounds(t)
	for where, at := range shared(t) {
		for _, most := range []int{1, 2} {
			t.Run(fmt.Sprintf("%s, MaxPerUser %d", where, most), func(t *testing.T) {
				args := append(slices.Clone(at.args), "-max-per-user", fmt.Sprint(most))
				processes := []*process{startProcess(t, args...), startProcess(t, args...)}
				devices, out, sessions := 0, 0, 0
				for round := range rounds {
					user := fmt.Sprintf("%s-%d-%d", where, most, round)
					id := fmt.Sprintf("%08x%024x", most*1000+round, time.Now().UnixNano())
					at.place.put(t, id, encode(t, map[any]any{"uid": user}), time.Minute)
					others := make([]string, most-1) // the user's other devices
					for i := range others {
						_, _, others[i] = processes[0].get("/login?user="+user, "", "")
					}

					start := make(chan struct{})
					tokens := make([]string, requests)
					var wg sync.WaitGroup
					for i := range requests {
						wg.Go(func() {
							<-start
							var status int
							var text string
							status, text, tokens[i] = processes[i%2].get("/", DefaultCookieName, id)
							if status != 200 || text != user {
								t.Errorf("round %d, request %d: %d %q, want 200 %q", round, i, status, text, user)
							}
						})
					}
					close(start)
					wg.Wait()

					slices.Sort(tokens)
					if tokens[0] == "" || len(slices.Compact(tokens)) != 1 {
						t.Errorf("round %d: %d different tokens", round, len(slices.Compact(tokens)))
					}
					for _, token := range append(others, tokens[0]) {
						devices++
						if _, text, _ := processes[1].get("/", cookie.DefaultName, token); text != user {
							out++
							t.Errorf("round %d: a device of %s is logged out", round, user)
						}
					}
					n, _ := processes[0].count(user)
					if n != most {
						t.Errorf("round %d: %s has %d sessions, want %d", round, user, n, most)
					}
					sessions += n
					if at.place.has(t, id) {
						t.Errorf("round %d: the old record is still there", round)
					}
				}
				_, one := processes[0].count("-")
				_, two := processes[1].count("-")
				if one+two != rounds {
					t.Errorf("Adopted was called %d times for %d users", one+two, rounds)
				}
				t.Logf("%d users, %d requests each: %d of %d devices logged out, %d sessions, %d adoptions", rounds, requests, out, devices, sessions, one+two)
			})
		}
	}
}

// A beegoProcess is what one process of the old application does, by Beego's
// rules: an unknown ID is replaced by a new session, whose cookie it sets.
type beegoProcess struct {
	place place
	t     *testing.T
	n     *atomic.Int64
}

func (b beegoProcess) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if c, err := r.Cookie(DefaultCookieName); err == nil && validID(c.Value) {
		if data, err := b.place.source.Load(context.Background(), c.Value, 1<<20); err == nil {
			rec, err := migrate.DecodeMap(data, 1<<20)
			if err != nil {
				b.t.Error(err)
			}
			b.place.put(b.t, c.Value, data, 0) // Beego writes at the end of each request
			fmt.Fprint(w, rec.Values["uid"])
			return
		}
	}
	http.SetCookie(w, &http.Cookie{Name: DefaultCookieName, Value: fmt.Sprintf("%032x", b.n.Add(1)), Path: "/", MaxAge: 3600})
}

// TestRollingSwitch: with both applications behind one balancer for a while,
// users keep their session if the new cookie has a name of its own; if it has
// the old one's, either application takes the other's cookie away.
func TestRollingSwitch(t *testing.T) {
	const users = 20
	for name, want := range map[string]int{"sid": 0, DefaultCookieName: users} {
		t.Run(name, func(t *testing.T) {
			place := inFiles(t)
			m, err := session.New(session.Config{Cookie: cookie.Options{Name: name}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { m.Close() })
			old := beegoProcess{place, t, &atomic.Int64{}}
			r := chi.NewRouter()
			r.Use(m.Middleware, Adopt(m, place.source, migrate.Options{CookieName: DefaultCookieName, Adopted: func(_ *http.Request, s *session.Session, values map[string]any) error {
				s.SetUser(fmt.Sprint(values["uid"]))
				return nil
			}}))
			r.Get("/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, session.FromContext(r).User()) })

			var turn atomic.Int64 // a request in three goes to the new application
			balancer := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				if turn.Add(1)%3 == 0 || req.URL.Path == "/switched" {
					req.URL.Path = "/"
					r.ServeHTTP(w, req)
					return
				}
				old.ServeHTTP(w, req)
			})
			server := httptest.NewServer(balancer)
			t.Cleanup(server.Close)
			lost := 0
			for n := range users {
				id := fmt.Sprintf("%032x", int64(n)+1<<40)
				user := fmt.Sprint("user ", n)
				place.put(t, id, encode(t, map[any]any{"uid": user}), 0)
				c, at := browser(t, server, id)
				for range 9 {
					get(t, c, at)
				}
				at.Path = "/switched"
				if _, text := get(t, c, at); text != user {
					lost++
				}
			}
			if lost != want {
				t.Errorf("%d of %d users are logged out in the new application, want %d", lost, users, want)
			}
		})
	}
}
