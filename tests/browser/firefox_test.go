package browser

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
)

// A firefox is a running Firefox, driven by WebDriver BiDi
// (https://www.w3.org/TR/webdriver-bidi/), which it speaks over a WebSocket.
// Methods are safe for concurrent use.
type firefox struct {
	command *exec.Cmd
	exited  chan struct{}
	conn    *websocket.Conn

	mu      sync.Mutex // guards what follows
	next    int
	waiting map[int]chan bidiReply
}

type bidiReply struct {
	ID      int             `json:"id"`
	Result  json.RawMessage `json:"result"`
	Error   string          `json:"error"`
	Message string          `json:"message"`
}

// quietPrefs keep the browser on this machine: no updates, no telemetry, no
// first-run pages, no lists from its maker.
const quietPrefs = `
user_pref("app.normandy.enabled", false);
user_pref("app.update.disabledForTesting", true);
user_pref("browser.newtabpage.enabled", false);
user_pref("browser.safebrowsing.malware.enabled", false);
user_pref("browser.safebrowsing.phishing.enabled", false);
user_pref("browser.startup.homepage_override.mstone", "ignore");
user_pref("browser.startup.page", 0);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("extensions.update.enabled", false);
user_pref("network.captive-portal-service.enabled", false);
user_pref("network.connectivity-service.enabled", false);
user_pref("services.settings.server", "data:,");
user_pref("toolkit.telemetry.server", "data:,");
`

// sharedFirefox starts the browser when the first test wants it; stopFirefox
// ends it.
var (
	sharedFirefox = sync.OnceValues(startFirefox)
	stopFirefox   = func() error { return nil }
)

func findFirefox() (string, error) {
	for _, name := range []string{os.Getenv("FIREFOX"), "firefox-esr", "firefox"} {
		if path, err := exec.LookPath(name); err == nil && name != "" {
			return path, nil
		}
	}
	return "", errors.New("there is no Firefox here: `make e2e` installs it on Debian and Ubuntu; or install it by hand, or set FIREFOX to its path")
}

func startFirefox() (*firefox, error) {
	path, err := findFirefox()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "session-e2e-firefox-")
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "user.js"), []byte(quietPrefs), 0o600); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	f := &firefox{exited: make(chan struct{}), waiting: map[int]chan bidiReply{}}
	f.command = exec.Command(path, "--headless", "--no-remote", "--profile", dir, "--remote-debugging-port", "0")
	f.command.Env = append(os.Environ(), "HOME="+dir) // where it would keep a cache
	if err := f.command.Start(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	go func() { f.command.Wait(); close(f.exited) }()
	stopFirefox = func() error {
		if f.conn != nil {
			f.call("browser.close", struct{}{}, nil) // or it is killed
		}
		late := time.AfterFunc(patience, func() { f.command.Process.Kill() })
		defer late.Stop()
		if f.conn == nil {
			f.command.Process.Kill()
		}
		<-f.exited
		return os.RemoveAll(dir)
	}
	if err := f.connect(filepath.Join(dir, "WebDriverBiDiServer.json")); err != nil {
		return nil, fmt.Errorf("start %s: %w", path, err)
	}
	return f, f.call("session.new", map[string]any{"capabilities": map[string]any{"alwaysMatch": map[string]any{"acceptInsecureCerts": true}}}, nil)
}

// A new profile takes a busy machine a while, and a browser that is not ready
// may take a connection and never reply on it.
const (
	firefoxStarts = 4 * patience
	firefoxDials  = 5 * time.Second
)

// connect waits for the file in which the browser says where it listens.
func (f *firefox) connect(file string) error {
	ctx, cancel := context.WithTimeout(context.Background(), firefoxStarts)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		var at struct {
			Host string `json:"ws_host"`
			Port int    `json:"ws_port"`
		}
		text, err := os.ReadFile(file)
		if err == nil {
			err = json.Unmarshal(text, &at)
		}
		if err == nil {
			dial, stop := context.WithTimeout(ctx, firefoxDials)
			f.conn, _, err = websocket.Dial(dial, fmt.Sprintf("ws://%s:%d/session", at.Host, at.Port), nil)
			stop()
		}
		if err == nil {
			f.conn.SetReadLimit(16 << 20)
			go f.listen()
			return nil
		}
		select {
		case <-f.exited:
			return errors.New("it exited")
		case <-ctx.Done():
			return fmt.Errorf("no connection within %v: %w", firefoxStarts, err)
		case <-tick.C:
		}
	}
}

func (f *firefox) listen() {
	for {
		var reply bidiReply
		if err := wsjson.Read(context.Background(), f.conn, &reply); err != nil {
			return // who waits has patience, and no more
		}
		f.mu.Lock()
		if to := f.waiting[reply.ID]; to != nil {
			to <- reply
			delete(f.waiting, reply.ID)
		}
		f.mu.Unlock()
	}
}

// call runs a command and puts what it returns into result, if that is not nil.
func (f *firefox) call(method string, params, result any) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	to := make(chan bidiReply, 1)
	f.mu.Lock()
	f.next++
	id := f.next
	f.waiting[id] = to
	f.mu.Unlock()
	if err := wsjson.Write(ctx, f.conn, map[string]any{"id": id, "method": method, "params": params}); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	select {
	case reply := <-to:
		if reply.Error != "" {
			return fmt.Errorf("%s: %s: %s", method, reply.Error, reply.Message)
		}
		if result == nil {
			return nil
		}
		return json.Unmarshal(reply.Result, result)
	case <-ctx.Done():
		return fmt.Errorf("%s: no reply within %v", method, patience)
	}
}

// A firefoxTab is a page in Firefox, of somebody with an empty cookie jar. It
// is a visitor.
type firefoxTab struct {
	t             *testing.T
	f             *firefox
	user, context string
}

func visitWithFirefox(t *testing.T, url string) visitor {
	t.Helper()
	f, err := sharedFirefox()
	if err != nil {
		t.Fatal(err)
	}
	p := &firefoxTab{t: t, f: f}
	var user struct {
		UserContext string `json:"userContext"`
	}
	p.call("browser.createUserContext", map[string]any{}, &user)
	p.user = user.UserContext
	t.Cleanup(func() { p.call("browser.removeUserContext", map[string]any{"userContext": p.user}, nil) })
	var tab struct{ Context string }
	p.call("browsingContext.create", map[string]any{"type": "tab", "userContext": p.user}, &tab)
	p.context = tab.Context
	p.openURL(url)
	return p
}

func (p *firefoxTab) call(method string, params, result any) {
	p.t.Helper()
	if err := p.f.call(method, params, result); err != nil {
		p.t.Fatal(err)
	}
}

func (p *firefoxTab) openURL(url string) {
	p.t.Helper()
	p.call("browsingContext.navigate", map[string]any{"context": p.context, "url": url, "wait": "complete"}, nil)
}

func (p *firefoxTab) try(expression string) (string, error) {
	var result struct {
		Type   string
		Result struct{ Value string }
	}
	err := p.f.call("script.evaluate", map[string]any{
		"expression":   "Promise.resolve(" + expression + ").then(JSON.stringify)",
		"target":       map[string]any{"context": p.context},
		"awaitPromise": true,
	}, &result)
	if err == nil && result.Type != "success" {
		err = errors.New("the script failed")
	}
	return result.Result.Value, err
}

func (p *firefoxTab) wait(what, expression string) {
	p.t.Helper()
	waitFor(p.t, p.try, what, expression)
}

// clicks clicks n times in the middle of what selector names, with that gap
// between two clicks.
func (p *firefoxTab) clicks(selector string, n int, gap time.Duration) {
	p.t.Helper()
	x, y := middle(p.t, p.try, selector)
	actions := []any{map[string]any{"type": "pointerMove", "x": int(x), "y": int(y)}}
	for i := range n {
		if i > 0 {
			actions = append(actions, map[string]any{"type": "pause", "duration": gap.Milliseconds()})
		}
		actions = append(actions, map[string]any{"type": "pointerDown", "button": 0}, map[string]any{"type": "pointerUp", "button": 0})
	}
	p.call("input.performActions", map[string]any{"context": p.context, "actions": []any{
		map[string]any{"type": "pointer", "id": "mouse", "parameters": map[string]any{"pointerType": "mouse"}, "actions": actions},
	}}, nil)
}

func (p *firefoxTab) stored(name string) []storedCookie {
	p.t.Helper()
	var all struct {
		Cookies []struct {
			Name, Domain string
			Value        struct{ Value string }
			Secure       bool
		}
	}
	p.call("storage.getCookies", map[string]any{"partition": map[string]any{"type": "context", "context": p.context}}, &all)
	var found []storedCookie
	for _, c := range all.Cookies {
		if strings.EqualFold(c.Name, name) {
			found = append(found, storedCookie{c.Value.Value, c.Secure})
		}
	}
	return found
}
