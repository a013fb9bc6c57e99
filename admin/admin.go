package admin

import (
	"cmp"
	"errors"
	"log/slog"
	"net/http"

	"github.com/chisession/session"
	"github.com/chisession/session/backend"
)

// maxForm is the size in bytes above which a form is refused.
const maxForm = 16 << 10

// Options configure the page. Authorize is required.
type Options struct {
	// Authorize decides about every request: an error is a 403, and goes
	// to the log. It has the request's session if the page is mounted behind
	// the session middleware. There is no default: a page that ends sessions
	// is for nobody, until the application says for whom.
	Authorize func(*http.Request) error

	// Meter, if there is one, shows the store's latency over time; see
	// [Measure]. Where the store is a [backend.Lister], the page lists the
	// newest sessions, too, and finds users by the beginnings of their names.
	Meter *Meter

	// DeviceName, if set, makes the name that the page shows of a session's label:
	// devicename.Name, where the label is the User-Agent header, say. It is called
	// for each session that is shown, and not for one without a label.
	DeviceName func(label string) string

	// TrustedOrigins are origins ("https://ops.example") besides the page's
	// own, from which its forms may be sent.
	TrustedOrigins []string

	// Logger gets what was ended by the page, what failed and who was
	// refused; default slog.Default().
	Logger *slog.Logger
}

// handler is the page.
type handler struct {
	m      *session.Manager
	opts   Options
	lister backend.Lister // nil if the store is none, or was not measured
	cross  *http.CrossOriginProtection
}

// New returns the page for the sessions of m. It is an error if
// Options.Authorize is nil.
//
// GET shows the page; with ?user=NAME the user's sessions, too, and with
// &by=prefix the newest ones of all users whose names begin so. POST ends
// sessions, and is refused if it comes from another site
// ([http.CrossOriginProtection]). Nothing is stored or started, so there is
// nothing to close.
func New(m *session.Manager, opts Options) (http.Handler, error) {
	if m == nil {
		return nil, errors.New("admin: New needs a manager, got nil")
	}
	if opts.Authorize == nil {
		return nil, errors.New("admin: Options.Authorize is nil: the page ends sessions, so say who may see it")
	}
	opts.Logger = cmp.Or(opts.Logger, slog.Default())
	h := &handler{m: m, opts: opts, cross: http.NewCrossOriginProtection()}
	if opts.Meter != nil {
		h.lister = opts.Meter.lister
	}
	for _, origin := range opts.TrustedOrigins {
		if err := h.cross.AddTrustedOrigin(origin); err != nil {
			return nil, errors.Join(errors.New("admin: Options.TrustedOrigins takes origins such as https://ops.example"), err)
		}
	}
	return h, nil
}

// log logs what happened in the request r.
func (h *handler) log(r *http.Request, level slog.Level, message string, attrs ...slog.Attr) {
	h.opts.Logger.LogAttrs(r.Context(), level, message,
		append(attrs, slog.String("path", r.URL.Path), slog.String("method", r.Method))...)
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	secure(w.Header())
	if err := h.opts.Authorize(r); err != nil {
		h.log(r, slog.LevelWarn, "admin: refused", slog.Any("error", err))
		refuse(w, http.StatusForbidden)
		return
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		h.show(w, r)
	case http.MethodPost:
		if err := h.cross.Check(r); err != nil {
			h.log(r, slog.LevelWarn, "admin: refused a form from another site", slog.Any("error", err))
			refuse(w, http.StatusForbidden)
			return
		}
		h.act(w, r)
	default:
		w.Header().Set("Allow", "GET, HEAD, POST")
		refuse(w, http.StatusMethodNotAllowed)
	}
}

// secure sets the headers of every response.
func secure(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	// Not no-referrer: with that, browsers send the page's own forms with
	// "Origin: null".
	h.Set("Referrer-Policy", "same-origin")
}

func refuse(w http.ResponseWriter, code int) { http.Error(w, http.StatusText(code), code) }
