// Package doctor looks for what is wrong with a place that sessions are kept
// in, with the configuration that names it and with the answers of an
// application that uses it, and says the cure. It changes nothing.
package doctor

import (
	"context"
	"fmt"
	"strings"
)

// A Status says how serious a finding is.
type Status string

// The statuses.
const (
	OK   Status = "ok"
	Warn Status = "warn" // works, and may hurt one day
	Fail Status = "fail" // loses sessions, or lets others have them
)

// A Result is what a check found: in Detail what is, in Cure what to do about
// it. It holds no password, token or value.
type Result struct {
	Status Status `json:"status"`
	Detail string `json:"detail"`
	Cure   string `json:"cure,omitempty"`
}

// A Check looks at one thing.
type Check struct {
	Name string
	Run  func(ctx context.Context) Result
}

// A Finding is the result of one check.
type Finding struct {
	Check string `json:"check"`
	Result
}

// Run runs the checks, one after the other.
func Run(ctx context.Context, checks []Check) []Finding {
	findings := make([]Finding, 0, len(checks))
	for _, c := range checks {
		findings = append(findings, Finding{c.Name, c.Run(ctx)})
	}
	return findings
}

// Count returns how many findings have the status.
func Count(findings []Finding, s Status) (n int) {
	for _, f := range findings {
		if f.Status == s {
			n++
		}
	}
	return n
}

func ok(format string, args ...any) Result {
	return Result{Status: OK, Detail: fmt.Sprintf(format, args...)}
}

func warn(cure, format string, args ...any) Result {
	return Result{Status: Warn, Detail: fmt.Sprintf(format, args...), Cure: cure}
}

func fail(cure, format string, args ...any) Result {
	return Result{Status: Fail, Detail: fmt.Sprintf(format, args...), Cure: cure}
}

// known is a check of facts that are there already.
func known(name string, r Result) Check {
	return Check{name, func(context.Context) Result { return r }}
}

// Unreachable is the check of a place that could not be connected to.
func Unreachable(err error) Check {
	return known("connection", fail("start the server, or correct the save path: host, port, password, database, and the firewall in between",
		"%s", strings.Join(strings.Fields(err.Error()), " "))) // pgx has a line for each address
}

// NoPlace is the check of a provider that keeps sessions where nobody else can
// look.
func NoPlace(why error) Check {
	return known("connection", warn("for more than one process, or sessions that outlive a restart, use file, mysql or redis", "%v", why))
}

// Connected is the check of a place that could be connected to.
func Connected() Check { return known("connection", ok("connected")) }
