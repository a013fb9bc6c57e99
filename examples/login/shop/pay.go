package shop

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/flash"
)

// confirmedKey is where a session keeps when its user gave the password.
const confirmedKey = "confirmed_at"

// confirmed reports whether the user gave the password a moment ago: a session
// may be a month old, and the laptop unlocked (ASVS 7.5.3).
func (s *shop) confirmed(r *http.Request) bool {
	at, _ := session.FromContext(r).Get(confirmedKey).(time.Time)
	return time.Since(at) <= s.confirmFor
}

// A payPage asks for the password, unless it was given a moment ago.
type payPage struct {
	Confirmed bool
	Faults    faults
}

// payForm shows what is to be paid, and asks on the same page for the password
// where that is due: the button that pays is then pressed once.
func (s *shop) payForm(w http.ResponseWriter, r *http.Request) {
	if cartOf(session.FromContext(r)).Count() == 0 {
		back(w, r, "/cart")
		return
	}
	s.showPay(w, r, http.StatusOK, nil)
}

func (s *shop) showPay(w http.ResponseWriter, r *http.Request, status int, wrong faults) {
	s.render(w, r, status, "pay.html", wrong.title("Pay"), payPage{s.confirmed(r), wrong})
}

// errOtherTotal says that the cart does not cost what the page said.
var errOtherTotal = errors.New("the cart has changed")

// pay takes the cart out of the session in one step, so that two clicks make
// one order, and only if it costs what the button said.
func (s *shop) pay(w http.ResponseWriter, r *http.Request) {
	if wrong := s.confirm(r); wrong != nil {
		s.showPay(w, r, http.StatusUnprocessableEntity, wrong)
		return
	}
	total, _ := strconv.Atoi(r.PostFormValue("total"))
	var paid cart
	err := session.FromContext(r).Update(func(v *session.Values) error {
		paid, _ = session.Get[cart](v, cartKey)
		if len(paid) > 0 && paid.Total() != total {
			return errOtherTotal
		}
		v.Delete(cartKey)
		return nil
	})
	switch {
	case errors.Is(err, errOtherTotal):
		flash.Warning(r, "Your cart has changed meanwhile, in another tab perhaps. Nothing was ordered: please look at it again.")
	case errors.Is(err, session.ErrDestroyed): // a flash message would go with the session
		s.render(w, r, http.StatusConflict, "problem.html", "Nothing was ordered", "You were signed out before the order was placed.")
		return
	case ended(err): // by the other of two clicks, which says what it did
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

// confirm checks the password that came with the order, where one is due.
func (s *shop) confirm(r *http.Request) faults {
	password := r.PostFormValue("password")
	if password == "" && s.confirmed(r) {
		return nil
	}
	current := session.FromContext(r)
	switch {
	case password == "":
		return faults{"password": "Please enter your password."}
	case !s.users.check(current.User(), password):
		return faults{"password": "That is not your password."}
	}
	current.Renew() // it can do more than before: a new token
	current.Set(confirmedKey, time.Now())
	return nil
}
