package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chisession/session/cmd/sessionctl/internal/doctor"
)

// examine runs doctor with --json.
func examine(t *testing.T, a *app, args ...string) (doctorReport, result) {
	t.Helper()
	r := ctlWith(t, a, append([]string{"doctor", "--json"}, args...)...)
	var report doctorReport
	if err := json.Unmarshal([]byte(r.stdout), &report); err != nil {
		t.Fatalf("doctor %v: %v\n%s%s", args, err, r.stdout, r.stderr)
	}
	if want := doctor.Count(report.Findings, doctor.Fail) == 0; report.Healthy != want || (r.code == exitOK) != want {
		t.Errorf("doctor: healthy is %v and the exit code %d with %d failures", report.Healthy, r.code, doctor.Count(report.Findings, doctor.Fail))
	}
	return report, r
}

// expect fails unless the report has a finding of the check with this status,
// whose detail contains text, and which says a cure unless it is ok.
func (r doctorReport) expect(t *testing.T, check string, status doctor.Status, text string) {
	t.Helper()
	for _, f := range r.Findings {
		if f.Check == check && f.Status == status && strings.Contains(f.Detail, text) {
			if f.Cure == "" && status != doctor.OK {
				t.Errorf("%s: %q has no cure", check, f.Detail)
			}
			return
		}
	}
	t.Errorf("no finding %q %s with %q in it:\n%s", check, status, text, r)
}

// has reports whether expect would find what it wants.
func (r doctorReport) has(check string, status doctor.Status, text string) bool {
	return slices.ContainsFunc(r.Findings, func(f doctor.Finding) bool {
		return f.Check == check && f.Status == status && strings.Contains(f.Detail, text)
	})
}

// of returns the finding of a check.
func (r doctorReport) of(t *testing.T, check string) doctor.Finding {
	t.Helper()
	for _, f := range r.Findings {
		if f.Check == check {
			return f
		}
	}
	t.Errorf("no finding %q:\n%s", check, r)
	return doctor.Finding{}
}

// allOK fails if there is anything but ok, besides the checks in except.
func (r doctorReport) allOK(t *testing.T, except ...string) {
	t.Helper()
	for _, f := range r.Findings {
		if f.Status != doctor.OK && !strings.Contains(strings.Join(except, ","), f.Check) {
			t.Errorf("%s is %s (%s), want ok", f.Check, f.Status, f.Detail)
		}
	}
}

func (r doctorReport) String() string {
	text, err := json.MarshalIndent(r.Findings, "", "  ")
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// skewed is an app on a host whose clock is off.
func skewed(by time.Duration) *app {
	return &app{now: func() time.Time { return time.Now().Add(by) }}
}

func plainApp() *app { return &app{now: time.Now} }
