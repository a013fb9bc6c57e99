package beego

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/chisession/session"
	"github.com/chisession/session/flash"
	"github.com/chisession/session/migrate/internal/hook"
)

// Beego's defaults (flashname and flashseparator).
const (
	flashCookie    = "BEEGO_FLASH"
	flashSeparator = "#BEEGOFLASH#"

	maxFlash = 4096 // bytes of a cookie, as browsers have it
)

// flashes hands the messages of a pending BEEGO_FLASH cookie to the request, as
// those of [flash.Now], and removes the cookie once they are taken. They are
// the browser's word, as they were in Beego; nothing is stored.
func flashes(m *session.Manager, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		pending := pendingFlash(r)
		s := m.FromContext(r)
		if len(pending) == 0 || r.Method == http.MethodHead || s.Err() != nil || s.Unavailable() {
			next.ServeHTTP(w, r)
			return
		}
		f := flash.Of(s)
		for _, message := range pending {
			f.Now(message.Level, "%s", message.Text)
		}
		out := hook.New(w, func(h http.Header) {
			left := f.Peek()
			if slices.ContainsFunc(pending, func(p flash.Message) bool { return slices.Contains(left, p) }) {
				return // for a page that shows them
			}
			h["Set-Cookie"] = append(h["Set-Cookie"], flashCookie+"=; Path=/; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT")
			h.Set("Cache-Control", "no-store")
		})
		next.ServeHTTP(out.As(), r)
		out.Ready()
	})
}

// pendingFlash returns the messages in r's cookie: each is its level, the
// separator and its text, between two zeros.
func pendingFlash(r *http.Request) []flash.Message {
	c, err := r.Cookie(flashCookie)
	if err != nil || c.Value == "" || len(c.Value) > maxFlash {
		return nil
	}
	text, err := url.QueryUnescape(c.Value)
	if err != nil {
		return nil
	}
	var messages []flash.Message
	for part := range strings.SplitSeq(text, "\x00") {
		if level, text, ok := strings.Cut(part, flashSeparator); ok && level != "" {
			messages = append(messages, flash.Message{Level: flash.Level(level), Text: text})
		}
	}
	return messages
}
