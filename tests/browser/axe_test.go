package browser

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// axeSum pins axe, as sha512sum prints it. install.sh reads it, too.
//
//go:embed axe.sum
var axeSum string

const axeCure = "`make e2e` fetches it with npm, which it installs on Debian and Ubuntu; or set AXE to the path of that package"

// axeSource is the script of axe-core, out of the package that install.sh left
// in the cache.
var axeSource = sync.OnceValues(func() (string, error) {
	want, name, _ := strings.Cut(strings.TrimSpace(axeSum), "  ")
	path := os.Getenv("AXE")
	if path == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return "", err
		}
		path = filepath.Join(cache, "session-e2e", name)
	}
	archive, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("there is no axe-core: %w; %s", err, axeCure)
	}
	if sum := sha512.Sum512(archive); hex.EncodeToString(sum[:]) != want {
		return "", fmt.Errorf("%s is not the %s whose sum is in axe.sum; %s", path, name, axeCure)
	}
	return fileOf(archive, "package/axe.min.js")
})

// fileOf returns a file out of a tar.gz.
func fileOf(archive []byte, name string) (string, error) {
	unzipped, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return "", err
	}
	for files := tar.NewReader(unzipped); ; {
		file, err := files.Next()
		if err != nil {
			return "", errors.Join(fmt.Errorf("look for %s", name), err)
		}
		if file.Name == name {
			text, err := io.ReadAll(files)
			return string(text), err
		}
	}
}

// axeRun asks axe for all that it can tell about a page: WCAG 2.2 up to AA,
// good practice, and the rules it calls experimental. What it could not decide
// counts as a finding, but for the contrast of texts in an SVG, whose ground it
// cannot see: [faint] can. One rule only tells that a part of the page is
// hidden: what comes out later is looked at then.
const axeRun = `axe.run({
	runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice', 'experimental'],
	rules: { 'hidden-content': { enabled: false } },
	resultTypes: ['violations', 'incomplete'],
}).then(r => ({
	rules: r.passes.length,
	findings: [...r.violations, ...r.incomplete].flatMap(v => v.nodes.filter(n => v.id !== 'color-contrast' || !n.html.startsWith('<text ')).map(n => v.id + ': ' + n.failureSummary.replace(/\s+/g, ' ') + ' ' + n.html)),
}))`

// axe fails the test for each finding of axe.
func (p *tab) axe(name string) {
	p.t.Helper()
	script, err := axeSource()
	if err != nil {
		p.t.Fatal(err)
	}
	p.eval(script + "; true")
	var result struct {
		Rules    int
		Findings []string
	}
	if err := json.Unmarshal([]byte(p.eval(axeRun)), &result); err != nil || result.Rules < 10 {
		p.t.Fatalf("%s: axe passed %d rules (%v): it cannot have looked", name, result.Rules, err)
	}
	for _, finding := range result.Findings {
		p.t.Errorf("%s: axe: %s", name, finding)
	}
}

// TestAxeFinds: axe itself runs, and finds what is wrong with a page.
func TestAxeFinds(t *testing.T) {
	t.Parallel()
	p := startShop(t, false).visit(t)
	p.open("/")
	script, err := axeSource()
	if err != nil {
		t.Fatal(err)
	}
	p.eval(`document.querySelector('.card button').ariaLabel = 'Something else'; document.body.insertAdjacentHTML('beforeend', '<input name="nameless">'); true`)
	p.eval(script + "; true")
	found := p.eval(axeRun + `.then(r => [...new Set(r.findings.map(f => f.split(':')[0]))].sort().join(' '))`)
	for _, want := range []string{"label-content-name-mismatch", "label ", "region"} {
		if !strings.Contains(found, want) {
			t.Errorf("axe finds %s, and not %s", found, want)
		}
	}
}
