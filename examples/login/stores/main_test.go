//go:build servers

package main

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chisession/session/internal/testserver"
)

const (
	root     = "../../.."
	patience = 10 * time.Minute // on a busy machine, which builds SQLite first
)

// TestLogin starts examples/login in the repository's root with a backend that
// is a module of its own, as its documentation says, and is a user there.
func TestLogin(t *testing.T) {
	login := buildLogin(t)

	t.Run("postgres", func(t *testing.T) {
		server, err := testserver.StartPostgres(testserver.PostgresOptions{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { server.Stop() })
		name, err := server.CreateDatabase()
		if err != nil {
			t.Fatal(err)
		}
		story(t, login, "-provider", "postgres", "-save-path", server.DSN(name))
	})
	t.Run("sqlite", func(t *testing.T) {
		// A relative path is relative to where the user is.
		dir := t.TempDir()
		here, err := filepath.Abs(root)
		if err != nil {
			t.Fatal(err)
		}
		path, err := filepath.Rel(here, filepath.Join(dir, "shop.db"))
		if err != nil {
			t.Fatal(err)
		}
		story(t, login, "-provider", "sqlite", "-save-path", path)
		if _, err := os.Stat(filepath.Join(dir, "shop.db")); err != nil {
			t.Errorf("the file that -save-path names: %v", err)
		}
	})

	cluster, err := testserver.StartRedisCluster(testserver.RedisGroupOptions{Password: "hunter2-cluster"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cluster.Stop() })
	for _, provider := range []string{"goredis", "rueidis"} {
		t.Run(provider+" on a cluster", func(t *testing.T) {
			story(t, login, "-provider", provider, "-save-path", cluster.SavePath(""))
		})
	}
	t.Run("config", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "app.conf")
		text := "sessionon = true\nsessionname = beegosessionID\nsessionprovider = goredis\nsessionproviderconfig = " + cluster.Nodes[0].URL() + "\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		// A node of a cluster: the store says what it wants instead, and the
		// program ends as it does without the second one.
		program := start(t, login, "-config", file)
		if text := program.ends(t, 1); !strings.Contains(text, "redis+cluster://") {
			t.Errorf("a cluster's node as redis://: the program said %q, want the cure, redis+cluster://", text)
		}
	})
}

// TestWithoutCheckout starts the program where no checkout of the repository
// is, and where the go command is not.
func TestWithoutCheckout(t *testing.T) {
	login := buildLogin(t)
	for _, c := range []struct{ name, dir, path string }{
		{"no checkout", t.TempDir(), os.Getenv("PATH")},
		{"no go command", root, t.TempDir()},
	} {
		command := exec.Command(login, "-provider", "sqlite", "-save-path", "shop.db")
		command.Dir, command.Env = c.dir, append(os.Environ(), "PATH="+c.path)
		text, err := command.CombinedOutput()
		if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 1 ||
			!strings.Contains(string(text), "provider sqlite: ") || !strings.Contains(string(text), "needs the go command and a folder of a checkout") {
			t.Errorf("%s: the program ended with %v and said %q, want code 1 and what is missing", c.name, err, text)
		}
	}
}

// story signs in, starts the program again, and signs out.
func story(t *testing.T, login string, args ...string) {
	t.Helper()
	first := start(t, login, args...)
	v := first.visitor(t)
	v.post("/cart/add", url.Values{"item": {"lamp"}})
	v.post("/login", url.Values{"name": {"ada"}, "password": {"lovelace"}})
	v.wantUser("ada")
	first.stop(t)

	again := start(t, login, args...)
	v.base = again.url
	v.wantUser("ada")
	if text := v.get("/cart"); !strings.Contains(text, `<th scope="row">Desk lamp</th>`) {
		t.Errorf("the cart after a restart has no lamp:\n%s", text)
	}
	v.post("/logout", url.Values{})
	v.wantUser("")
	again.stop(t)

	last := start(t, login, args...)
	v.base = last.url
	v.wantUser("")
	last.stop(t)
}

// buildLogin returns the built program of examples/login.
func buildLogin(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "login")
	build := exec.Command("go", "build", "-o", path, "./examples/login")
	build.Dir = root
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build ./examples/login: %v\n%s", err, text)
	}
	return path
}

// A program is the login example, at work.
type program struct {
	command *exec.Cmd
	stdout  *bufio.Reader
	stderr  bytes.Buffer
	url     string
}

// start starts it in the repository's root, on a free port.
func start(t *testing.T, path string, args ...string) *program {
	t.Helper()
	p := &program{command: exec.Command(path, append([]string{"-addr", "127.0.0.1:0"}, args...)...)}
	p.command.Dir, p.command.Stderr = root, &p.stderr
	stdout, err := p.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.stdout = bufio.NewReader(stdout)
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(patience, func() { p.command.Process.Kill() })
	t.Cleanup(func() {
		late.Stop()
		if p.command.ProcessState == nil {
			p.command.Process.Signal(syscall.SIGTERM)
			io.Copy(io.Discard, p.stdout)
			p.command.Wait()
		}
	})
	line, _ := p.stdout.ReadString('\n') // "Open http://127.0.0.1:43210 and sign in as ..."
	_, rest, _ := strings.Cut(line, "Open ")
	p.url, _, _ = strings.Cut(rest, " ")
	return p
}

// stop ends it as a supervisor does, with a SIGTERM to the program that was
// started, and expects a good end of both.
func (p *program) stop(t *testing.T) {
	t.Helper()
	p.command.Process.Signal(syscall.SIGTERM)
	p.ends(t, 0)
	if _, err := http.Get(p.url); err == nil {
		t.Errorf("%s responds after the program's end", p.url)
	}
}

// ends waits for the program's end, wants this exit code, and returns what it
// said on stderr.
func (p *program) ends(t *testing.T, code int) string {
	t.Helper()
	io.Copy(io.Discard, p.stdout)
	err := p.command.Wait()
	if got := p.command.ProcessState.ExitCode(); got != code {
		t.Errorf("the program ended with %v, want code %d; it said:\n%s", cmp.Or(err, errors.New("code 0")), code, p.stderr.String())
	}
	if !strings.Contains(p.stderr.String(), "is a module of its own: building and running ") {
		t.Errorf("the program said %q, want a line on the module", p.stderr.String())
	}
	return p.stderr.String()
}

// A visitor is a browser that keeps cookies.
type visitor struct {
	t      *testing.T
	base   string
	client http.Client
}

func (p *program) visitor(t *testing.T) *visitor {
	t.Helper()
	if p.url == "" {
		p.command.Process.Signal(syscall.SIGTERM)
		io.Copy(io.Discard, p.stdout)
		p.command.Wait()
		t.Fatalf("the program did not say where it listens, but %q", p.stderr.String())
	}
	jar, err := cookiejar.New(nil) // cookies know no ports: it survives the restart
	if err != nil {
		t.Fatal(err)
	}
	return &visitor{t: t, base: p.url, client: http.Client{Jar: jar}}
}

func (v *visitor) get(path string) string {
	v.t.Helper()
	return v.read(v.client.Get(v.base + path))
}

func (v *visitor) post(path string, form url.Values) {
	v.t.Helper()
	v.read(v.client.PostForm(v.base+path, form))
}

func (v *visitor) read(response *http.Response, err error) string {
	v.t.Helper()
	if err != nil {
		v.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		v.t.Fatalf("%s: status %d (%v):\n%s", response.Request.URL, response.StatusCode, err, text)
	}
	return string(text)
}

// wantUser fails the test unless the shop takes the visitor for this one.
func (v *visitor) wantUser(want string) {
	v.t.Helper()
	if got := v.get("/status"); !strings.Contains(got, `"user":"`+want+`"`) {
		v.t.Errorf("/status is %s, want the user %q", got, want)
	}
}
