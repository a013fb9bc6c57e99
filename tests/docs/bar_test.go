package docs

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/cookie"
)

const barPage = "docs/evidence/security-statements.md"

// bar are the statements of SECURITY-BAR, by section: the number of the last.
var bar = []struct {
	section string
	last    int
}{
	{"ID", 11}, {"FX", 12}, {"LO", 10}, {"TO", 9}, {"CK", 19}, {"DR", 6}, {"CC", 11}, {"HB", 19}, {"FB", 13},
	{"RD", 16}, {"MY", 14}, {"ME", 6}, {"GC", 7}, {"DS", 7}, {"OP", 5},
}

func barIDs() (ids []string) {
	for _, s := range bar {
		for n := range s.last {
			ids = append(ids, fmt.Sprintf("%s-%d", s.section, n+1))
		}
	}
	return ids
}

// A barRow is a row of the table.
type barRow struct {
	id, level, statement, holds string
	tests                       []string
}

var (
	barLine = regexp.MustCompile(`(?m)^\| ([A-Z]{2}-\d+) \| ([MSO]) \| (.+) \| (.+) \| (.+) \|$`)
	code    = regexp.MustCompile("`([^`]+)`")
)

func barRows(page string) (rows []barRow) {
	for _, m := range barLine.FindAllStringSubmatch(page, -1) {
		row := barRow{id: m[1], level: m[2], statement: m[3], holds: m[4]}
		for _, c := range code.FindAllStringSubmatch(m[5], -1) {
			row.tests = append(row.tests, c[1])
		}
		rows = append(rows, row)
	}
	return rows
}

// TestBar checks that the page has every statement of SECURITY-BAR once, in
// order, and that the tests behind each exist and name it.
func TestBar(t *testing.T) {
	rows := barRows(pages(t)[barPage])
	var ids []string
	for _, row := range rows {
		ids = append(ids, row.id)
		if len(row.tests) == 0 {
			t.Errorf("%s: no test", row.id)
		}
		for _, test := range row.tests {
			if err := names(test, row.id); err != nil {
				t.Errorf("%s: %v", row.id, err)
			}
		}
	}
	if want := barIDs(); !slices.Equal(ids, want) {
		t.Errorf("%s has the rows %v, want %v", barPage, ids, want)
	}
}

// names returns an error unless the test, "TestX", "dir: TestX" or either with
// "/subtest", is there and names id: in its doc comment or its body. A case
// "/NN_name" must do so on the line that runs it; another subtest is one of the
// conformance suite.
func names(test, id string) error {
	dir, name, ok := strings.Cut(test, ": ")
	if !ok {
		dir, name = ".", test
	}
	name, sub, _ := strings.Cut(name, "/")
	source, err := function(dir, name)
	if err != nil {
		return err
	}
	switch {
	case sub != "" && sub[0] >= '0' && sub[0] <= '9':
		at := slices.IndexFunc(source, func(line string) bool {
			return strings.Contains(line, `("`+sub) || strings.Contains(line, `, "`+sub)
		})
		if at < 0 {
			return fmt.Errorf("%s has no case %s", name, sub)
		}
		source = source[at : at+1]
	case sub != "":
		suite, err := os.ReadFile(filepath.Join(root, "backend/backendtest/backendtest.go"))
		if err != nil {
			return err
		}
		if !strings.Contains(string(suite), `{"`+sub+`", `) {
			return fmt.Errorf("the conformance suite has no case %s", sub)
		}
	}
	if !regexp.MustCompile(`\b` + id + `\b`).MatchString(strings.Join(source, "\n")) {
		return fmt.Errorf("%s does not name it", test)
	}
	return nil
}

// function returns the lines of a test function in a package's directory, doc
// comment included.
func function(dir, name string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(root, dir, "*_test.go"))
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		if !strings.Contains(string(text), "\nfunc "+name+"(") {
			continue
		}
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, file, text, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		for _, decl := range f.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok || fn.Name.Name != name || fn.Recv != nil {
				continue
			}
			from := fn.Pos()
			if fn.Doc != nil {
				from = fn.Doc.Pos()
			}
			return strings.Split(string(text[set.Position(from).Offset:set.Position(fn.End()).Offset]), "\n"), nil
		}
	}
	return nil, fmt.Errorf("%s has no test %s", dir, name)
}

// A check that finds nothing wrong with anything would pass all the same.
func TestBarFindsMistakes(t *testing.T) {
	for _, tt := range []struct{ test, id, want string }{
		{"tests/docs: TestBar", "OP-4", "does not name it"},
		{"tests/docs: TestBar_OP4_CI", "OP-4", ""},
		{"TestBehaviourB/14_malformed_token", "ID-4", ""},
		{"TestBehaviourB/14_malformed_token", "FX-1", "does not name it"},
		{"TestBehaviourB/99_nothing", "ID-4", "has no case 99_nothing"},
		{"backend/memory: TestConformance/CreateExists", "ID-3", ""},
		{"backend/memory: TestConformance/Nonsense", "ID-3", "no case Nonsense"},
		{"backend/memory: TestNothing", "ID-3", "no test TestNothing"},
		{"internal/record: TestBar_ID1_ChiSquare", "ID-11", "does not name it"},
	} {
		if err := names(tt.test, tt.id); (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("names(%q, %s) = %v, want %q", tt.test, tt.id, err, tt.want)
		}
	}
	if rows := barRows("| ID-1 | M | a | yes | `TestA` `b: TestB/c` |\n| x | y |\n"); len(rows) != 1 || len(rows[0].tests) != 2 || rows[0].holds != "yes" {
		t.Errorf("rows: %+v", rows)
	}
}

// TestBar_OP4_CI: what runs for every commit has the race detector, the fuzz
// targets over their corpora, govulncheck and the fault suite; and the suite's
// table is published (OP-4).
func TestBar_OP4_CI(t *testing.T) {
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for name, all := range map[string][]string{
		".ci/run":               {"make lint", "make test"},
		"Makefile":              {"test -race -count=$(COUNT)", "./internal/vulncheck.sh", "-fuzz ", "FAULTS=1"},
		"internal/vulncheck.sh": {"govulncheck"},
	} {
		text := read(name)
		for _, want := range all {
			if !strings.Contains(text, want) {
				t.Errorf("%s does not have %q", name, want)
			}
		}
	}
	if table := read("docs/evidence/faults.md"); strings.Count(table, "\n|") < 40 || !strings.Contains(table, "redis") {
		t.Errorf("docs/evidence/faults.md has no table of the fault suite")
	}
	fuzzers := 0
	for _, dir := range []string{".", "internal/record", "backend/file", "backend/redis", "cookie", "conf"} {
		files, _ := filepath.Glob(filepath.Join(root, dir, "*_test.go"))
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			fuzzers += strings.Count(string(text), "\nfunc Fuzz")
		}
	}
	if fuzzers < 8 {
		t.Errorf("%d fuzz targets, want at least 8: a parser of foreign bytes has none", fuzzers)
	}
}

// TestBar_OP5_Defaults: the page on security has the defaults as the code has
// them, each with its reason (OP-5).
func TestBar_OP5_Defaults(t *testing.T) {
	page := pages(t)["docs/security.md"]
	_, table, ok := strings.Cut(page, "## The defaults, and why")
	if !ok {
		t.Fatal("docs/security.md has no section on the defaults")
	}
	table, _, _ = strings.Cut(table, "\n## ")
	if session.DefaultIdleTimeout != time.Hour || session.DefaultAbsoluteTimeout != 24*time.Hour || cookie.DefaultName != "beegosessionID" {
		t.Error("the defaults have changed: so must docs/security.md, and this test")
	}
	for _, row := range []string{"idle timeout 1 h, absolute 24 h", "`beegosessionID`", "HttpOnly", "Secure", "SameSite=Lax", "no Domain", "256 random bits", "gone when the browser closes", "values sealed", "503 when the store is down"} {
		found := regexp.MustCompile(`(?m)^\| [^|]*` + regexp.QuoteMeta(row) + `[^|]*\| .{20,} \|$`).MatchString(table)
		if !found {
			t.Errorf("docs/security.md gives no reason for the default %q", row)
		}
	}
	for _, source := range []string{"NIST SP 800-63B-4", "ASVS 5", "OWASP", "MaxPerUser"} {
		if !strings.Contains(page, source) {
			t.Errorf("docs/security.md does not name %s", source)
		}
	}
}
