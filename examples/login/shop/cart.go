package shop

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/chisession/session"
	"github.com/chisession/session/flash"
)

const (
	cartKey  = "cart"
	maxCount = 99 // of one item
)

// An item is something to buy.
type item struct {
	ID, Name, About string
	Cents           int
}

var items = []item{
	{"lamp", "Desk lamp", "Brass, with a green shade. Warm light for late pages.", 6400},
	{"mug", "Mug", "Stoneware, holds three deep thoughts or one large coffee.", 1450},
	{"notebook", "Notebook", "Two hundred squared pages that lie flat.", 1290},
	{"pen", "Fountain pen", "Steel nib, medium. Forgives the left-handed.", 3800},
}

func itemByID(id string) (item, bool) {
	i := slices.IndexFunc(items, func(it item) bool { return it.ID == id })
	if i < 0 {
		return item{}, false
	}
	return items[i], true
}

// A cart says how many of each item, by ID. It is stored as JSON, without
// registering anything.
type cart map[string]int

func cartOf(s *session.Session) cart {
	c, _ := session.Get[cart](s, cartKey)
	return c
}

// Count returns the number of things in the cart.
func (c cart) Count() (n int) {
	for _, count := range c {
		n += count
	}
	return n
}

// A line is one row of the cart.
type line struct {
	item
	Count int
}

// Cents returns what the line costs.
func (l line) Cents() int { return l.Count * l.item.Cents }

// Lines returns the cart's rows, in the order of the shop.
func (c cart) Lines() (lines []line) {
	for _, it := range items {
		if c[it.ID] > 0 {
			lines = append(lines, line{it, c[it.ID]})
		}
	}
	return lines
}

// Total returns what all costs, in cents.
func (c cart) Total() (cents int) {
	for _, l := range c.Lines() {
		cents += l.Cents()
	}
	return cents
}

func (s *shop) front(w http.ResponseWriter, r *http.Request) {
	s.render(w, r, http.StatusOK, "front.html", "Things for the desk", items)
}

// A cartPage is what the page of the cart shows besides the cart.
type cartPage struct {
	Confirmed bool   // the password was given a moment ago
	Wrong     string // the ID of the item whose count cannot be what was typed
	Typed     string
}

func (s *shop) cart(w http.ResponseWriter, r *http.Request) {
	s.render(w, r, http.StatusOK, "cart.html", "Your cart", cartPage{Confirmed: s.confirmed(r)})
}

// addToCart counts one up. Update is exact: however many tabs add at once,
// every one counts.
func (s *shop) addToCart(w http.ResponseWriter, r *http.Request) {
	it, ok := itemByID(r.PostFormValue("item"))
	if !ok {
		flash.Error(r, "We do not sell that.")
		back(w, r, "/")
		return
	}
	_, err := session.Update(session.FromContext(r), cartKey, func(c cart) cart {
		if c == nil {
			c = cart{}
		}
		c[it.ID] = min(c[it.ID]+1, maxCount)
		return c
	})
	switch {
	case ended(err) && partial(r):
		reload(w)
		return
	case ended(err): // the next page says so
	case err != nil:
		s.unavailable(w, r, err)
		return
	case partial(r):
		s.parts(w, r, it)
		return
	default:
		flash.Success(r, "%s is in your cart.", it.Name)
	}
	back(w, r, whereFrom(r))
}

// changeCount sets how many of an item are in the cart; 0 removes it.
func (s *shop) changeCount(w http.ResponseWriter, r *http.Request) {
	it, ok := itemByID(r.PostFormValue("item"))
	if !ok {
		flash.Error(r, "We do not sell that.")
		back(w, r, "/cart")
		return
	}
	typed := strings.TrimSpace(r.PostFormValue("count"))
	n, err := strconv.Atoi(typed)
	if err != nil || n < 0 || n > maxCount {
		s.render(w, r, http.StatusUnprocessableEntity, "cart.html", errorTitle("Your cart"),
			cartPage{Confirmed: s.confirmed(r), Wrong: it.ID, Typed: typed})
		return
	}
	found := false
	_, err = session.Update(session.FromContext(r), cartKey, func(c cart) cart {
		_, found = c[it.ID]
		if n == 0 {
			delete(c, it.ID)
		} else if found {
			c[it.ID] = n
		}
		return c
	})
	switch {
	case ended(err): // the next page says so
	case err == nil && !found:
		flash.Notice(r, "That is not in your cart any more.")
	case err != nil:
		s.unavailable(w, r, err)
		return
	case n == 0:
		flash.Notice(r, "%s is out of your cart.", it.Name)
	default:
		flash.Success(r, "%s: %d in your cart now.", it.Name, n)
	}
	back(w, r, "/cart")
}

// parts are the parts of a page that an addition to the cart changes: the
// count in the header, what the footer says of the session, and a line that
// screen readers read out. Parts take no messages: those are for whole pages.
func (s *shop) parts(w http.ResponseWriter, r *http.Request, added item) {
	s.write(w, http.StatusOK, "front.html", "parts", viewOf(r, "", added))
}

// badge is the count of the cart alone.
func (s *shop) badge(w http.ResponseWriter, r *http.Request) {
	s.write(w, http.StatusOK, "front.html", "badge", viewOf(r, "", nil))
}

// reload has the script load the whole page again, as htmx has it: that has a
// message, for which parts have no room.
func reload(w http.ResponseWriter) { w.Header().Set("HX-Refresh", "true") }

// partial reports whether the page asks for a part of itself, as htmx does.
func partial(r *http.Request) bool { return r.Header.Get("HX-Request") == "true" }
