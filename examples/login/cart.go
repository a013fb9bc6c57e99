package main

import (
	"net/http"
	"slices"

	"github.com/chisession/session"
	"github.com/chisession/session/flash"
)

const cartKey = "cart"

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

func (s *shop) cart(w http.ResponseWriter, r *http.Request) {
	s.render(w, r, http.StatusOK, "cart.html", "Your cart", nil)
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
		c[it.ID] = min(c[it.ID]+1, 99)
		return c
	})
	switch {
	case ended(err):
		flash.Warning(r, "Your session ended meanwhile.")
	case err != nil:
		s.unavailable(w, r, err)
		return
	case partial(r):
		s.badge(w, r)
		return
	default:
		flash.Success(r, "%s is in your cart.", it.Name)
	}
	back(w, r, whereFrom(r))
}

func (s *shop) removeFromCart(w http.ResponseWriter, r *http.Request) {
	it, _ := itemByID(r.PostFormValue("item"))
	_, err := session.Update(session.FromContext(r), cartKey, func(c cart) cart {
		delete(c, it.ID)
		return c
	})
	if err != nil && !ended(err) {
		s.unavailable(w, r, err)
		return
	}
	flash.Notice(r, "%s is out of your cart.", it.Name)
	back(w, r, "/cart")
}

// pay takes the cart out of the session in one step, so that two clicks make
// one order.
func (s *shop) pay(w http.ResponseWriter, r *http.Request) {
	var paid cart
	err := session.FromContext(r).Update(func(v *session.Values) error {
		paid, _ = session.Get[cart](v, cartKey)
		v.Delete(cartKey)
		return nil
	})
	switch {
	case ended(err):
		flash.Error(r, "You were signed out before the order was placed. Nothing was ordered.")
	case err != nil:
		s.unavailable(w, r, err)
		return
	case len(paid) == 0:
		flash.Notice(r, "There was nothing to order.")
	default:
		flash.Success(r, "Ordered %s for %s. Nothing was charged: this is an example.", count(paid.Count(), "thing"), price(paid.Total()))
	}
	back(w, r, "/cart")
}

// badge is the part of a page that shows how full the cart is. Being a part,
// it takes no messages.
func (s *shop) badge(w http.ResponseWriter, r *http.Request) {
	s.write(w, http.StatusOK, "front.html", "badge", view{Cart: cartOf(session.FromContext(r))})
}

// partial reports whether the page asks for a part of itself, as htmx does.
func partial(r *http.Request) bool { return r.Header.Get("HX-Request") == "true" }
