package conf

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chisession/session"
)

var update = flag.Bool("update", false, "write the tables of docs/config.md anew")

// TestDocs keeps docs/config.md to what the code does.
// Run "go test ./conf -run TestDocs -update" after a change.
func TestDocs(t *testing.T) {
	const path = "../docs/config.md"
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := string(data)
	short := strings.NewReplacer(wantTimeout, "a duration above 0", wantCookie, "a duration of at most 400 days")
	var settings, rest []Key
	for _, k := range Keys() {
		if k.Field != "" {
			settings = append(settings, k)
		} else {
			rest = append(rest, k)
		}
	}
	want = replaceBlock(t, want, "settings", table("| key | variable | default | takes | meaning |", settings, func(k Key) string {
		return fmt.Sprintf("| `%s` | `SESSION_%s` | %s | %s | %s Sets `Config.%s`. |", k.Name, k.Env, k.Default, short.Replace(k.Values), k.Meaning, k.Field)
	}))
	want = replaceBlock(t, want, "no-settings", table("| key | takes | what happens |", rest, func(k Key) string {
		return fmt.Sprintf("| `%s` | %s | %s |", k.Name, k.Values, k.Meaning)
	}))
	if want == string(data) {
		return
	}
	if !*update {
		t.Fatalf("%s does not have the keys that the code has: run go test ./conf -run TestDocs -update", path)
	}
	if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

func table(head string, keys []Key, row func(Key) string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s|\n", head, strings.Repeat("| --- ", strings.Count(head, "|")-1))
	for _, k := range keys {
		fmt.Fprintln(&b, row(k))
	}
	return b.String()
}

// replaceBlock puts block between the comments that enclose it in text.
func replaceBlock(t *testing.T, text, name, block string) string {
	t.Helper()
	begin, end := "<!-- begin "+name+" -->\n", "<!-- end "+name+" -->"
	before, rest, ok := strings.Cut(text, begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("docs/config.md: no %q … %q", begin, end)
	}
	return before + begin + block + end + after
}

// The file that docs/config.md shows must be one that Load takes.
func TestDocsSample(t *testing.T) {
	data, err := os.ReadFile("../docs/config.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(data), "```ini\n")
	sample, _, _ := strings.Cut(rest, "```")
	got, err := loadText(sample, vars{"BEEGO_RUNMODE": "prod"})
	if err != nil {
		t.Fatalf("Load of the sample: %v", err)
	}
	expectConfig(t, "Load of the sample", got, session.Config{
		Provider: "mysql", SavePath: "shop:p#ss;w@tcp(db:3306)/shop?timeout=2s", IdleTimeout: 30 * time.Minute,
	})
}
