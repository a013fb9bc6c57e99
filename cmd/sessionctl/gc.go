package main

import (
	"context"
	"errors"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/chisession/session/backend"
)

// sweepBatch is how many records one step removes: small enough for the bar to
// move.
const sweepBatch = 500

func (a *app) gc() *cobra.Command {
	return &cobra.Command{
		Use:   "gc",
		Short: "Remove the sessions that have expired, now",
		Long: `gc removes expired sessions in batches. The application does so by itself; gc is
for those who turned that off, or want the space at once. It may run beside it,
and be interrupted: it then says how many it has removed. Redis removes them
itself.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), func(s *service) error { return a.runGC(cmd.Context(), s) })
		},
	}
}

func (a *app) runGC(ctx context.Context, s *service) error {
	sweeper := backend.AbilitiesOf(s.store).Sweeper
	if sweeper == nil {
		return a.print(map[string]int{"removed": 0}, "the server removes expired sessions by itself\n")
	}
	began, removed, all := time.Now(), 0, ""
	bar := a.bar(s.place.Expired(ctx), "removing expired sessions")
	var err error
	for n := sweepBatch; n >= sweepBatch && err == nil; {
		n, err = sweeper.Sweep(ctx, sweepBatch)
		removed += n
		_ = bar.Add(n) // a bar that cannot be drawn is no reason to stop
	}
	if err != nil { // it was interrupted, or the store failed
		_ = bar.Exit()
		all = ", and not all"
	} else {
		_ = bar.Finish()
	}
	said := a.print(map[string]int{"removed": removed}, "removed %s in %v%s\n",
		plural(removed, "expired session"), time.Since(began).Round(time.Millisecond), all)
	return errors.Join(err, said)
}

// bar returns a progress bar, which is drawn on a terminal alone. A total
// below 0 is unknown: it turns instead.
func (a *app) bar(total int64, doing string) *progressbar.ProgressBar {
	return progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(a.stderr),
		progressbar.OptionSetVisibility(!a.json && onTerminal(a.stderr)),
		progressbar.OptionSetDescription(doing),
		progressbar.OptionSetSpinnerChangeInterval(0), // with every batch: its goroutine is a data race
		progressbar.OptionShowCount(),
		progressbar.OptionShowIts(),
		progressbar.OptionThrottle(50*time.Millisecond),
		progressbar.OptionClearOnFinish(),
	)
}
