package migrate

import (
	"context"
	"log/slog"
	"strings"
	"time"
)

// A Surveyor is a [Source] that can tell what it sees. Those of packages beego
// and scs are; [Adopt] logs it at start.
type Surveyor interface {
	// Survey looks at the old store as Load would, for records whose ID
	// begins with prefix.
	Survey(ctx context.Context, prefix string) (Survey, error)
}

// A Survey is what a look at the old store found.
type Survey struct {
	// Where says what it is, never with a password: "redis 10.0.0.7:6379,
	// database 3", say.
	Where string

	// Live is how many old sessions would be adopted.
	Live int

	// Expired is how many are there, and too old to be: a lifetime that is
	// shorter than the old application's shows here.
	Expired int

	// More says that there was too much to count: there are at least as many.
	More bool
}

// survey logs where old sessions are looked for and how many there are: a
// wrong name, database or lifetime adopts nobody, and says nothing else.
func (a *adopter) survey() {
	attrs := []slog.Attr{
		slog.String("format", a.format.Name),
		slog.String("cookies", strings.Join(a.names, ", ")),
		slog.String("ids", a.opts.IDPrefix+a.format.Form),
	}
	level, message := slog.LevelInfo, "migrate: adopting old sessions"
	if surveyor, ok := a.source.(Surveyor); ok {
		ctx, cancel := context.WithTimeout(context.Background(), a.opts.Timeout)
		defer cancel()
		began := time.Now()
		found, err := surveyor.Survey(ctx, a.opts.IDPrefix)
		if found.Where != "" {
			attrs = append(attrs, slog.String("where", found.Where))
		}
		switch {
		case err != nil:
			level, message = slog.LevelWarn, "migrate: adopting old sessions, which could not be counted"
			attrs = append(attrs, slog.Any("error", err))
		case found.Live == 0 && !found.More:
			level, message = slog.LevelWarn, "migrate: adopting old sessions, but there is none: is this the old application's place, and its lifetime?"
			attrs = append(attrs, slog.Int("live", 0), slog.Int("expired", found.Expired))
		default:
			attrs = append(attrs, slog.Int("live", found.Live), slog.Int("expired", found.Expired), slog.Bool("more", found.More))
		}
		attrs = append(attrs, slog.Duration("took", time.Since(began)))
	}
	a.opts.Logger.LogAttrs(context.Background(), level, message, attrs...)
}
