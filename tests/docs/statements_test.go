package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/cookie"
	"github.com/chisession/session/internal/behaviour"
)

const statementsPage = "docs/evidence/security-statements.md"

// sections are those of the statements: the number of the last in each.
var sections = []struct {
	section string
	last    int
}{
	{"ID", 11}, {"FX", 12}, {"LO", 10}, {"TO", 9}, {"CK", 19}, {"DR", 6}, {"CC", 11}, {"HB", 19}, {"FB", 13},
	{"RD", 16}, {"MY", 14}, {"ME", 6}, {"GC", 7}, {"DS", 7}, {"OP", 5},
}

func statementIDs() (ids []string) {
	for _, s := range sections {
		for n := range s.last {
			ids = append(ids, fmt.Sprintf("%s-%d", s.section, n+1))
		}
	}
	return ids
}

// A statementRow is a row of the table.
type statementRow struct {
	id, level, statement, holds string
	tests                       []string
}

var (
	statementLine = regexp.MustCompile(`(?m)^\| ([A-Z]{2}-\d+) \| ([MSO]) \| (.+) \| (.+) \| (.+) \|$`)
	code          = regexp.MustCompile("`([^`]+)`")
)

func statementRows(page string) (rows []statementRow) {
	for _, m := range statementLine.FindAllStringSubmatch(page, -1) {
		row := statementRow{id: m[1], level: m[2], statement: m[3], holds: m[4]}
		for _, c := range code.FindAllStringSubmatch(m[5], -1) {
			row.tests = append(row.tests, c[1])
		}
		rows = append(rows, row)
	}
	return rows
}

// TestStatements checks that the page has every statement once, in order, and
// that the tests behind each exist.
func TestStatements(t *testing.T) {
	rows := statementRows(pages(t)[statementsPage])
	var ids []string
	for _, row := range rows {
		ids = append(ids, row.id)
		if len(row.tests) == 0 {
			t.Errorf("%s: no test", row.id)
		}
		for _, test := range row.tests {
			if err := exists(test); err != nil {
				t.Errorf("%s: %v", row.id, err)
			}
		}
	}
	if want := statementIDs(); !slices.Equal(ids, want) {
		t.Errorf("%s has the rows %v, want %v", statementsPage, ids, want)
	}
}

// exists returns an error unless the test is there: "TestX", "dir: TestX" or
// either with a subtest. TestBehaviour/TOPIC/SENTENCE is one of the behaviours;
// another subtest is one of the conformance suite.
func exists(test string) error {
	dir, name, ok := strings.Cut(test, ": ")
	if !ok {
		dir, name = ".", test
	}
	name, sub, _ := strings.Cut(name, "/")
	if err := hasTest(dir, name); err != nil || sub == "" {
		return err
	}
	if name == "TestBehaviour" {
		if !slices.Contains(behaviour.Sentences(), sub) {
			return fmt.Errorf("no behaviour is called %q", sub)
		}
		return nil
	}
	suite, err := os.ReadFile(filepath.Join(root, "backend/backendtest/backendtest.go"))
	if err != nil {
		return err
	}
	if !strings.Contains(string(suite), `{"`+sub+`", `) {
		return fmt.Errorf("the conformance suite has no test %s", sub)
	}
	return nil
}

// hasTest returns an error unless the package in dir has this test function.
func hasTest(dir, name string) error {
	files, err := filepath.Glob(filepath.Join(root, dir, "*_test.go"))
	if err != nil {
		return err
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if strings.Contains(string(text), "\nfunc "+name+"(") {
			return nil
		}
	}
	return fmt.Errorf("%s has no test %s", dir, name)
}

// A check that finds nothing wrong with anything would pass all the same.
func TestStatementsFindsMistakes(t *testing.T) {
	for test, want := range map[string]string{
		"tests/docs: TestStatements":                             "",
		"TestBehaviour/token/a malformed token reaches no store": "",
		"TestBehaviour/token/nothing":                            `no behaviour is called "token/nothing"`,
		"backend/memory: TestConformance/CreateExists":           "",
		"backend/memory: TestConformance/Nonsense":               "no test Nonsense",
		"backend/memory: TestNothing":                            "no test TestNothing",
	} {
		if err := exists(test); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("exists(%q) = %v, want %q", test, err, want)
		}
	}
	if rows := statementRows("| ID-1 | M | a | yes | `TestA` `b: TestB/c` |\n| x | y |\n"); len(rows) != 1 || len(rows[0].tests) != 2 || rows[0].holds != "yes" {
		t.Errorf("rows: %+v", rows)
	}
}

// TestChecksOfEveryCommit: what runs for every commit has the race detector, the fuzz
// targets over their corpora, govulncheck and the fault suite; and the suite's
// table is published.
func TestChecksOfEveryCommit(t *testing.T) {
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for name, all := range map[string][]string{
		".ci/run":               {"make lint", "make test"},
		"internal/modules.sh":   {"go test -race ", "-count="},
		"Makefile":              {"./internal/modules.sh test", "./internal/vulncheck.sh", "-fuzz ", "FAULTS=1"},
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

// TestDefaultsHaveReasons: the page on security has the defaults as the code has
// them, each with its reason.
func TestDefaultsHaveReasons(t *testing.T) {
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
