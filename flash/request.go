package flash

import (
	"log/slog"
	"net/http"

	"github.com/chisession/session"
	"github.com/chisession/session/internal/caller"
)

// Success adds a message of [LevelSuccess], formatted as by [fmt.Sprintf]. It
// costs what [session.Session.Set] costs, and fails as that does: the request
// gets an error response if it cannot be stored.
func Success(r *http.Request, format string, args ...any) {
	of(r).Add(LevelSuccess, format, args...)
}

// Notice adds a message of [LevelNotice]; see [Success].
func Notice(r *http.Request, format string, args ...any) {
	of(r).Add(LevelNotice, format, args...)
}

// Warning adds a message of [LevelWarning]; see [Success].
func Warning(r *http.Request, format string, args ...any) {
	of(r).Add(LevelWarning, format, args...)
}

// Error adds a message of [LevelError]; see [Success].
func Error(r *http.Request, format string, args ...any) {
	of(r).Add(LevelError, format, args...)
}

// Add adds a message of any level; see [Success].
func Add(r *http.Request, level Level, format string, args ...any) {
	of(r).Add(level, format, args...)
}

// Now adds a message that only this request can take or peek at. It is never
// stored and costs nothing: for a page rendered without a redirect, such as a
// form with its errors.
func Now(r *http.Request, level Level, format string, args ...any) {
	of(r).Now(level, format, args...)
}

// Take returns all messages and removes them: those of [Now] come last. It
// never fails: what the store would not give up is not shown, since it might
// be shown again, and an error of the store is logged (slog.Default). Use
// [Flash.Take] to handle it.
//
// It costs one store call if there is a message, and none if there is none.
// Take before the page is written, or while: an existing session can be
// changed at any time. If the session has ended meanwhile, by a logout say,
// its messages are gone with it, and none is shown.
//
// On HEAD, Take is [Peek]. A page that the browser fetches before anybody asks
// for it (Sec-Purpose: prefetch) takes its messages, too, and they are shown
// if it is: where such pages are common, Peek while that header is there.
func Take(r *http.Request) Messages {
	s := session.FromContext(r)
	messages, err := Of(s).Take()
	if err != nil {
		slog.ErrorContext(r.Context(), "flash: messages not taken, so not shown",
			"id", s.ID(), "error", err, "caller", caller.Here(), "path", r.URL.Path, "method", r.Method)
	}
	return messages
}

// Peek returns what [Take] would, as far as this request has loaded it, and
// removes nothing. It costs no store call. Several requests may see the same.
func Peek(r *http.Request) Messages { return of(r).Peek() }

// Keep leaves the messages that this request takes, before or after, for one
// more Take in a later request. Messages that nobody takes stay without it,
// and those of [Now] cannot be kept. Of more than [MaxMessages], the newest are kept.
func Keep(r *http.Request) { of(r).Keep() }

func of(r *http.Request) Flash { return Of(session.FromContext(r)) }
