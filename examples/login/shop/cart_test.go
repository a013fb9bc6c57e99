package shop

import (
	"strings"
	"testing"

	"github.com/chisession/session"
)

// TestChangeCount changes how many there are, and refuses what is no count at
// the field.
func TestChangeCount(t *testing.T) {
	s := newSite(t, session.Config{})
	v := s.visitor(t)
	v.post("/cart/add", "item", "mug")
	v.post("/cart/add", "item", "pen")
	v.get("/cart").wantText(t, `name="count" value="1" inputmode="numeric" aria-label="Count of Mug"`)
	v.post("/cart/count", "item", "mug", "count", " 12 ").wantMessages(t, "success: Mug: 12 in your cart now.")
	v.get("/status").wantText(t, `"cart":13`)
	for _, count := range []string{"", "many", "-1", "100", "1.5", "<b>"} {
		p := v.post("/cart/count", "item", "mug", "count", count)
		p.wantFault(t, "count", "Please enter a whole number from 0 to 99.")
		p.wantText(t, `aria-label="Count of Mug" autocomplete="off" aria-invalid="true"`)
		if strings.Contains(p.body, "<b>") {
			t.Error("what was typed is in the page as it is")
		}
	}
	v.get("/status").wantText(t, `"cart":13`)
	v.post("/cart/count", "item", "mug", "count", "0").wantMessages(t, "notice: Mug is out of your cart.")
	v.post("/cart/count", "item", "mug", "count", "3").wantMessages(t, "notice: That is not in your cart any more.")
	v.post("/cart/count", "item", "horse", "count", "3").wantMessages(t, "error: We do not sell that.")
	v.get("/status").wantText(t, `"cart":1`)
}

// TestParts: what a script adds to the cart comes back with all parts of the
// page that it changes.
func TestParts(t *testing.T) {
	s := newSite(t, session.Config{})
	v := s.visitor(t)
	v.get("/").wantText(t, `<p id="ends">You have no session`)
	p := v.do("POST", "/cart/add", "item=mug", "HX-Request", "true")
	p.wantText(t, `<span aria-hidden="true">1</span>`)
	p.wantText(t, `<p id="ends">Your session ends at <time data-local datetime="`)
	p.wantText(t, `<p id="told">Mug is in your cart, 1 thing in all.</p>`)
	page := v.get("/")
	for _, id := range []string{"badge", "ends", "told"} {
		if n := strings.Count(page.body, `id="`+id+`"`); n != 1 {
			t.Errorf("the page has %d places for the part %s, want 1", n, id)
		}
	}
}
