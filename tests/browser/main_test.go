package browser

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
)

// What all tests share, made by TestMain.
var (
	chromiumPath string          // the browser's program
	loginPath    string          // examples/login, built
	shared       context.Context // a running browser; each test gets a profile of its own in it
	pictures     string          // where screenshots go
)

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	os.Exit(code)
}

// run makes what the tests share, runs them, and leaves nothing behind but
// the screenshots.
func run(m *testing.M) (code int, err error) {
	if chromiumPath, err = findChromium(); err != nil {
		return 0, err
	}
	if pictures = os.Getenv("E2E_SCREENSHOTS"); pictures == "" {
		pictures = "screenshots"
	}
	if err := os.MkdirAll(pictures, 0o755); err != nil {
		return 0, err
	}
	dir, err := os.MkdirTemp("", "session-e2e-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	loginPath = filepath.Join(dir, "login")
	build := exec.Command("go", "build", "-o", loginPath, "./examples/login")
	build.Dir = "../.."
	if text, err := build.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("build examples/login: %w\n%s", err, text)
	}
	browser, stop, err := startChromium(filepath.Join(dir, "profile"))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	shared = browser
	defer func() { err = errors.Join(err, stopFirefox()) }()
	return m.Run(), nil
}

// findChromium returns the browser to use. There is no testing without one,
// so the error says how to get it.
func findChromium() (string, error) {
	if path := os.Getenv("CHROMIUM"); path != "" {
		found, err := exec.LookPath(path)
		if err != nil {
			return "", fmt.Errorf("there is no browser where CHROMIUM says: %w; unset it, and `make e2e` installs one on Debian and Ubuntu", err)
		}
		return found, nil
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("there is no Chromium here: `make e2e` installs it on Debian and Ubuntu; or install it by hand, or set CHROMIUM to the path of a Chromium or Chrome")
}

// startChromium starts a browser that keeps its profile in dir. stop closes
// it as a user does, so that it stores its cookies, and waits for it.
func startChromium(dir string, more ...chromedp.ExecAllocatorOption) (ctx context.Context, stop func() error, err error) {
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(chromiumPath),
		chromedp.UserDataDir(dir),
		chromedp.NoSandbox, // it visits nothing but our own pages, in CI as root
		chromedp.DisableGPU,
		chromedp.IgnoreCertErrors, // the certificates are made here
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-quic", true),
		chromedp.WindowSize(1000, 720),
	)
	allocator, end := chromedp.NewExecAllocator(context.Background(), append(options, more...)...)
	ctx, cancel := chromedp.NewContext(allocator)
	if err := chromedp.Do(ctx); err != nil {
		cancel()
		end()
		return nil, nil, fmt.Errorf("start %s: %w", chromiumPath, err)
	}
	return ctx, func() error {
		defer end()
		patient, done := context.WithTimeout(ctx, patience)
		defer done()
		return chromedp.Cancel(patient)
	}, nil
}
