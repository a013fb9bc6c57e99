package shop

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"path"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/flash"
)

//go:embed templates
var templates embed.FS

// pages are the parsed templates, by name.
type pages map[string]*template.Template

// helpers are what templates can call.
var helpers = template.FuncMap{
	"price": price, "ago": ago, "count": count,
	"stamp":    func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"maxCount": func() int { return maxCount },
}

func parsePages() (pages, error) {
	layout, err := template.New("layout.html").Funcs(helpers).ParseFS(templates, "templates/layout.html")
	if err != nil {
		return nil, err
	}
	files, err := templates.ReadDir("templates")
	if err != nil {
		return nil, err
	}
	all := make(pages)
	for _, file := range files {
		if file.Name() == "layout.html" {
			continue
		}
		page, err := template.Must(layout.Clone()).ParseFS(templates, path.Join("templates", file.Name()))
		if err != nil {
			return nil, err
		}
		all[file.Name()] = page
	}
	return all, nil
}

// A view is what every template gets.
type view struct {
	Title    string
	Path     string // of this page, for the navigation
	User     string
	Messages flash.Messages
	Cart     cart
	Ends     time.Time // when the session ends if nothing more happens; zero if there is none
	Data     any       // the page's own
}

// render shows a whole page, and with it the messages that wait. Only whole
// pages take messages: a poll or a part of a page would take them away from
// the reader.
func (s *shop) render(w http.ResponseWriter, r *http.Request, status int, page, title string, data any) {
	s.tellEnded(r)
	v := viewOf(r, title, data)
	v.Messages = flash.Take(r)
	s.write(w, status, page, "layout.html", v)
}

// viewOf returns what a page shows, but for the messages.
func viewOf(r *http.Request, title string, data any) view {
	current := session.FromContext(r)
	return view{
		Title: title,
		Path:  r.URL.Path,
		User:  current.User(),
		Cart:  cartOf(current),
		Ends:  current.ExpiresAt(),
		Data:  data,
	}
}

// faults are what is wrong with the fields of a form, by the field's name. A
// page shows each at its field (WCAG 2.2, 3.3.1).
type faults map[string]string

// title returns the title of a page whose form has these faults. Screen readers
// say the title first.
func (f faults) title(page string) string {
	if len(f) == 0 {
		return page
	}
	return errorTitle(page)
}

func errorTitle(page string) string { return "Error: " + page }

// write runs a template and sends the result, or none of it if it fails.
func (s *shop) write(w http.ResponseWriter, status int, page, name string, data any) {
	var text bytes.Buffer
	if err := s.pages[page].ExecuteTemplate(&text, name, data); err != nil {
		slog.Error("page not rendered", "page", page, "error", err)
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	w.Write(text.Bytes())
}

// unavailable answers when the store did not.
func (s *shop) unavailable(w http.ResponseWriter, r *http.Request, err error) {
	slog.ErrorContext(r.Context(), "store failed", "path", r.URL.Path, "error", err)
	s.render(w, r, http.StatusServiceUnavailable, "problem.html", "Please try again", "We could not reach our records just now. Nothing was changed.")
}

// notFound takes no messages: browsers ask for /favicon.ico and the like by
// themselves, and nobody reads the response.
func (s *shop) notFound(w http.ResponseWriter, r *http.Request) {
	s.write(w, http.StatusNotFound, "problem.html", "layout.html", viewOf(r, "No such page", "There is nothing at this address."))
}

// back redirects to a page: what every form does when it is done, so that
// reloading sends nothing twice (POST, redirect, GET).
func back(w http.ResponseWriter, r *http.Request, to string) {
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// price formats an amount in cents.
func price(cents int) string { return fmt.Sprintf("€%d.%02d", cents/100, cents%100) }

// count says how many there are, as "1 thing" or "3 things".
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// ago says how long before now t was.
func ago(t time.Time) string {
	switch d := time.Since(t); {
	case d < time.Minute:
		return "just now"
	case d < time.Hour:
		return count(int(d/time.Minute), "minute") + " ago"
	case d < 24*time.Hour:
		return count(int(d/time.Hour), "hour") + " ago"
	default:
		return count(int(d/(24*time.Hour)), "day") + " ago"
	}
}
