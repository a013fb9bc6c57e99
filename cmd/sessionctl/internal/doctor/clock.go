package doctor

import (
	"context"
	"time"
)

// From which skew on a clock is worth a word, and a failure.
const (
	skewWarn = time.Second
	skewFail = 5 * time.Second

	clockSamples = 7
)

const skewCure = "run NTP (chrony, systemd-timesyncd) on this host and on the server; run doctor on every host of the application"

// clock compares the server's clock with ours.
func clock(now func() time.Time, ask func(ctx context.Context) (time.Time, error)) Check {
	return Check{"clock", func(ctx context.Context) Result {
		skew, slack, err := measure(ctx, now, ask)
		if err != nil {
			return warn("allow the account to ask for the time", "the server's clock could not be read: %v", err)
		}
		return judgeSkew(skew, slack)
	}}
}

// measure returns how much the server's clock is ahead of ours, and by how
// much that may be wrong: half the round trip of the quickest of some samples,
// as NTP has it.
func measure(ctx context.Context, now func() time.Time, ask func(ctx context.Context) (time.Time, error)) (skew, slack time.Duration, err error) {
	for i := range clockSamples {
		before, began := now(), time.Now()
		server, err := ask(ctx)
		if err != nil {
			return 0, 0, err
		}
		half := time.Since(began) / 2
		if i == 0 || half < slack {
			skew, slack = server.Sub(before.Add(half)), half
		}
	}
	return skew, slack, nil
}

func judgeSkew(skew, slack time.Duration) Result {
	direction, late := "ahead of", "early"
	if skew < 0 {
		skew, direction, late = -skew, "behind", "late"
	}
	const format = "the server's clock is %v %s this host's (to within %v): sessions end that much %s"
	shown, within := skew.Round(time.Millisecond), slack.Round(10*time.Microsecond)
	switch certain := skew - slack; {
	case certain > skewFail:
		return fail(skewCure, format, shown, direction, within, late)
	case certain > skewWarn:
		return warn(skewCure, format, shown, direction, within, late)
	}
	return ok("the server's clock is this host's, to within %v", max(skew, slack).Round(time.Millisecond)+time.Millisecond)
}
