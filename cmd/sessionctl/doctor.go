package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/fatih/color"
	"github.com/spf13/cobra"

	"github.com/chisession/session/backend/file"
	"github.com/chisession/session/backend/goredis"
	"github.com/chisession/session/backend/mysql"
	"github.com/chisession/session/backend/postgres"
	"github.com/chisession/session/backend/redis"
	"github.com/chisession/session/backend/sqlite"
	"github.com/chisession/session/cmd/sessionctl/internal/doctor"
	"github.com/chisession/session/cmd/sessionctl/internal/place"
	"github.com/chisession/session/cookie"
)

type doctorReport struct {
	Place    string           `json:"place,omitempty"`
	Healthy  bool             `json:"healthy"`
	Findings []doctor.Finding `json:"findings"`
}

func (a *app) doctor() *cobra.Command {
	var site doctor.Site
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look for what is wrong, and say the cure",
		Long: `doctor checks the configuration, the server (version, role, clock, eviction,
persistence, table, grants, standbys, vacuum) or directory, and, with --url, the cookie and the
headers of an answer of the application. It changes nothing; in a session
directory it makes an empty directory and removes it, to see that it can. The
exit code is 1 if something fails, 0 if there are only warnings.

Run it as the application's user, on each of its hosts.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runDoctor(cmd.Context(), site) },
	}
	cmd.Flags().StringVar(&site.URL, "url", "", "an address of the application that stores something in a session")
	cmd.Flags().StringVar(&site.ForwardedProto, "forwarded-proto", "", "send X-Forwarded-Proto with it, as the proxy does")
	return cmd
}

func (a *app) runDoctor(ctx context.Context, site doctor.Site) error {
	checks, done, err := a.checks(ctx, site)
	if err != nil {
		return err
	}
	report := doctorReport{Place: a.where.target.String(), Findings: doctor.Run(ctx, checks)}
	if err := done(); err != nil {
		return err
	}
	if a.where.target.Provider == "" {
		report.Place = "" // a bad configuration, or --url alone
	}
	for i := range report.Findings {
		f := &report.Findings[i]
		f.Detail, f.Cure = a.where.redact(f.Detail), a.where.redact(f.Cure)
	}
	failures := doctor.Count(report.Findings, doctor.Fail)
	report.Healthy = failures == 0
	if a.json {
		err = a.printJSON(report)
	} else {
		err = a.printReport(report)
	}
	if err == nil && failures > 0 {
		err = errUnwell
	}
	return err
}

// checks gathers all checks for what the flags name, and what to close when
// they have run. What cannot be looked at, because the configuration is wrong
// or the server away, is a check that says so.
func (a *app) checks(ctx context.Context, site doctor.Site) (checks []doctor.Check, done func() error, err error) {
	done = func() error { return nil }
	cfg, source, err := a.where.read()
	if errors.Is(err, errNowhere) && site.URL != "" {
		site.Cookie, site.Transport = cookie.DefaultName, a.transport
		return doctor.Web(ctx, site), done, nil
	}
	if _, usage := errors.AsType[usageError](err); usage {
		return nil, done, err
	}
	if err != nil {
		return doctor.BadConfig(err), done, nil
	}
	if a.where.configured() {
		checks = doctor.Config(cfg, doctor.Source{Name: source, File: a.where.config, Prefix: a.where.env}, a.where.passwordInFile())
	}
	stored, done := a.placeChecks(ctx, cfg.MaxBytes)
	checks = append(checks, stored...)
	if site.URL != "" {
		site.Cookie, site.Transport = cmp.Or(cfg.Cookie.Name, cookie.DefaultName), a.transport
		checks = append(checks, doctor.Web(ctx, site)...)
	}
	return checks, done, nil
}

// placeChecks are the checks of the store.
func (a *app) placeChecks(ctx context.Context, maxBytes int) (checks []doctor.Check, done func() error) {
	none := func() error { return nil }
	p, err := place.Connect(ctx, a.where.target)
	if errors.Is(err, place.ErrMemory) {
		return []doctor.Check{doctor.NoPlace(err)}, none
	}
	if err != nil {
		return []doctor.Check{doctor.Unreachable(err)}, none
	}
	switch a.where.target.Provider {
	case redis.Name, goredis.Name, "rueidis":
		checks = append([]doctor.Check{doctor.Connected()}, doctor.Redis(p, a.now)...)
	case mysql.Name:
		checks = append([]doctor.Check{doctor.Connected()}, doctor.MySQL(p, maxBytes, a.now)...)
	case postgres.Name:
		checks = append([]doctor.Check{doctor.Connected()}, doctor.Postgres(p, a.now)...)
	case sqlite.Name:
		checks = append([]doctor.Check{doctor.Connected()}, doctor.SQLite(p)...)
	case file.Name:
		checks = doctor.File(p.Dir)
	}
	return checks, p.Close
}

// printReport prints the findings for people: what is wrong stands out by its
// word, and on a terminal by a colour as well.
func (a *app) printReport(r doctorReport) error {
	var b strings.Builder
	if r.Place != "" {
		fmt.Fprintf(&b, "%s\n\n", plain(r.Place))
	}
	width := 0
	for _, f := range r.Findings {
		width = max(width, len(f.Check))
	}
	words := map[doctor.Status]string{
		doctor.OK: a.coloured("ok  ", color.FgGreen), doctor.Warn: a.coloured("WARN", color.FgYellow), doctor.Fail: a.coloured("FAIL", color.FgRed, color.Bold),
	}
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "%s  %-*s  %s\n", words[f.Status], width, f.Check, plain(f.Detail))
		if f.Cure != "" {
			fmt.Fprintf(&b, "      %-*s  cure: %s\n", width, "", plain(f.Cure))
		}
	}
	fmt.Fprintf(&b, "\n%d ok, %s, %s\n", doctor.Count(r.Findings, doctor.OK),
		plural(doctor.Count(r.Findings, doctor.Warn), "warning"), plural(doctor.Count(r.Findings, doctor.Fail), "failure"))
	_, err := a.stdout.Write([]byte(b.String()))
	return err
}
