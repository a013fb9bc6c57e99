// Package release proves that a release can be installed as the documents say.
package release

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	module  = "github.com/chisession/session"
	version = "v0.987.0"
)

// TestRelease makes a release of what is committed, in a clone, and then is a user
// who has nothing but the tags: go install of sessionctl works, the program knows
// its version, and each module can be required.
func TestRelease(t *testing.T) {
	clone := cloned(t)
	run(t, clone, nil, "internal/release.sh", version)
	tags := strings.Fields(run(t, clone, nil, "git", "tag"))
	for mod := range strings.Lines(run(t, clone, nil, "git", "ls-files", "go.mod", "*/go.mod")) {
		dir := strings.TrimPrefix(strings.TrimSuffix(strings.TrimSpace(mod), "go.mod"), "/")
		ours := dir == "tests/" || dir == "benchmarks/" || strings.HasPrefix(dir, "examples/") // nobody requires these
		if !ours && !slices.Contains(tags, dir+version) {
			t.Errorf("internal/release.sh knows nothing of the module in %q", dir)
		}
	}
	if changed := run(t, clone, nil, "git", "status", "--porcelain"); changed != "" {
		t.Errorf("the release has changed the checkout:\n%s", changed)
	}
	for _, tag := range tags {
		dir := strings.TrimSuffix(strings.TrimSuffix(tag, version), "/")
		mod := run(t, clone, nil, "git", "show", tag+":"+filepath.ToSlash(filepath.Join(dir, "go.mod")))
		if strings.Contains(mod, "replace") {
			t.Errorf("%s: go.mod has a replace line:\n%s", tag, mod)
		}
		for line := range strings.Lines(mod) {
			if path, v, ok := strings.Cut(strings.TrimSpace(line), " "); ok && strings.HasPrefix(path, module) && v != version {
				t.Errorf("%s: go.mod requires %s %s", tag, path, v)
			}
		}
	}

	home := t.TempDir()
	env := userOf(t, clone, home)
	run(t, home, env, "go", "install", "-trimpath", module+"/cmd/sessionctl@latest")
	got := run(t, home, nil, filepath.Join(home, "bin", "sessionctl"), "--version")
	if want := "sessionctl " + version + " (go"; !strings.HasPrefix(got, want) {
		t.Errorf("sessionctl --version prints %q, want %q…", got, want)
	}
	run(t, home, env, "go", "mod", "init", "shop.example/shop")
	var all []string
	for _, tag := range tags {
		all = append(all, strings.TrimSuffix(module+"/"+strings.TrimSuffix(tag, version), "/")+"@latest")
	}
	run(t, home, env, "go", append([]string{"get"}, all...)...)
}

// cloned returns a clone of what is committed, whose changelog has the version.
func cloned(t *testing.T) string {
	t.Helper()
	root := strings.TrimSpace(run(t, ".", nil, "git", "rev-parse", "--show-toplevel"))
	clone := filepath.Join(t.TempDir(), "session")
	run(t, root, nil, "git", "clone", "-q", "--no-tags", "--single-branch", root, clone)
	path := filepath.Join(clone, "CHANGELOG.md")
	log, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	section := "## [" + strings.TrimPrefix(version, "v") + "]\n"
	if err := os.WriteFile(path, append(log, section...), 0o644); err != nil {
		t.Fatal(err)
	}
	for key, value := range map[string]string{"user.name": "Test", "user.email": "test@shop.example"} {
		run(t, clone, nil, "git", "config", key, value)
	}
	run(t, clone, nil, "git", "commit", "-qam", "a release")
	return clone
}

// userOf returns the environment of a user for whom the module's address leads to
// the clone: all other modules come from this machine's cache, or from where it
// gets them.
func userOf(t *testing.T, clone, home string) []string {
	t.Helper()
	cache := strings.TrimSpace(run(t, ".", nil, "go", "env", "GOMODCACHE"))
	proxy := strings.TrimSpace(run(t, ".", nil, "go", "env", "GOPROXY"))
	return []string{
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=url.file://" + clone + ".insteadOf", "GIT_CONFIG_VALUE_0=https://" + module,
		"GOPRIVATE=" + module + "," + module + "/*", "GOPROXY=file://" + filepath.ToSlash(cache) + "/cache/download," + proxy, "GONOSUMDB=*",
		"GOMODCACHE=" + filepath.Join(home, "cache"), "GOBIN=" + filepath.Join(home, "bin"), "GOFLAGS=-modcacherw", "GOWORK=off",
	}
}

// run runs a program, with more in its environment, and returns what it prints.
func run(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	if !filepath.IsAbs(name) && strings.Contains(name, "/") {
		cmd.Path = filepath.Join(dir, name)
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, &stdout, &stderr)
	}
	return stdout.String()
}
