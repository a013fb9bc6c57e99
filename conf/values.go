package conf

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/cookie"
)

// What can be wrong with a value. The text follows the key's name and is
// followed by what the key takes; it never has the value in it.
var (
	errBlank    = errors.New("is blank")
	errNegative = errors.New("is negative")
	errZero     = errors.New("is 0")
	errSmall    = errors.New("is too small")
	errLarge    = errors.New("is too large")
	errSyntax   = errors.New("has a value that cannot be understood")
	errCookie   = errors.New("has a value that no browser would take")
	errControl  = errors.New("has a control character in its value")
)

// A refusal is the reason why a value that can be understood is not taken.
type refusal string

func (r refusal) Error() string { return string(r) }

// never is the value of sessionsweepevery that turns sweeping off.
const never = "never"

type setter = func(c *session.Config, value string) error

func text(field func(*session.Config) *string) setter {
	return func(c *session.Config, value string) error {
		*field(c) = value
		return nil
	}
}

func boolean(set func(*session.Config, bool)) setter {
	return func(c *session.Config, value string) error {
		on, err := parseBool(value)
		if err != nil {
			return err
		}
		set(c, on)
		return nil
	}
}

func number(least int, field func(*session.Config) *int) setter {
	return func(c *session.Config, value string) error {
		n, err := parseInt(value, strconv.IntSize)
		if err != nil {
			return err
		}
		if n < int64(least) {
			return errZero
		}
		*field(c) = int(n)
		return nil
	}
}

func timeout(field func(*session.Config) *time.Duration) setter {
	return func(c *session.Config, value string) error {
		d, err := parseDuration(value)
		switch {
		case err != nil:
			return err
		case d == 0:
			return errZero
		case d < time.Millisecond:
			return errSmall
		}
		*field(c) = d
		return nil
	}
}

func sweepEvery(c *session.Config, value string) error {
	if strings.EqualFold(value, never) {
		c.SweepEvery = -1
		return nil
	}
	return timeout(func(c *session.Config) *time.Duration { return &c.SweepEvery })(c, value)
}

func cookieLifetime(c *session.Config, value string) error {
	d, err := parseDuration(value)
	switch {
	case err != nil:
		return err
	case d > 0 && d < time.Second:
		return errSmall
	case d > cookie.MaxAge:
		return errLarge
	}
	c.Cookie.MaxAge = d
	return nil
}

func onMaxPerUser(c *session.Config, value string) error {
	switch strings.ToLower(value) {
	case "":
		return errBlank
	case "endoldest":
		c.OnMaxPerUser = session.MaxPerUserEndOldest
	case "refuse":
		c.OnMaxPerUser = session.MaxPerUserRefuse
	default:
		return errSyntax
	}
	return nil
}

func onOutage(c *session.Config, value string) error {
	switch strings.ToLower(value) {
	case "":
		return errBlank
	case "failclosed":
		c.OnOutage = session.OutageFail
	case "anonymous":
		c.OnOutage = session.OutageAnonymous
	default:
		return errSyntax
	}
	return nil
}

func sameSite(c *session.Config, value string) error {
	switch strings.ToLower(value) {
	case "":
		return errBlank
	case "default", "1":
		c.Cookie.SameSite = http.SameSiteDefaultMode
	case "lax", "2":
		c.Cookie.SameSite = http.SameSiteLaxMode
	case "strict", "3":
		c.Cookie.SameSite = http.SameSiteStrictMode
	case "none", "4":
		c.Cookie.SameSite = http.SameSiteNoneMode
	default:
		return errSyntax
	}
	return nil
}

// ignore accepts anything. It is for keys that are about something that does
// not exist here.
func ignore(*session.Config, string) error { return nil }

// refuse accepts a boolean that is not bad.
func refuse(bad bool, why string) setter {
	return func(_ *session.Config, value string) error {
		on, err := parseBool(value)
		if err == nil && on == bad {
			return refusal(why)
		}
		return err
	}
}

func refuseJSON(*session.Config, string) error {
	return refusal("is refused: in Beego this JSON text replaces all other keys; write its fields as keys, such as sessionname and sessiongcmaxlifetime")
}

// parseBool takes what Beego takes, in any case.
func parseBool(value string) (bool, error) {
	switch strings.ToLower(value) {
	case "":
		return false, errBlank
	case "1", "t", "true", "y", "yes", "on":
		return true, nil
	case "0", "f", "false", "n", "no", "off":
		return false, nil
	}
	return false, errSyntax
}

func parseInt(value string, bits int) (int64, error) {
	if value == "" {
		return 0, errBlank
	}
	n, err := strconv.ParseInt(value, 10, bits)
	switch {
	case n < 0: // also when it is out of range
		return 0, errNegative
	case errors.Is(err, strconv.ErrRange):
		return 0, errLarge
	case err != nil:
		return 0, errSyntax
	}
	return n, nil
}

// parseDuration takes a whole number of seconds or a Go duration, from 0 to
// maxTimeout.
func parseDuration(value string) (time.Duration, error) {
	seconds, err := parseInt(value, 64)
	if err == nil {
		if seconds > int64(maxTimeout/time.Second) {
			return 0, errLarge
		}
		return time.Duration(seconds) * time.Second, nil
	}
	if err != errSyntax {
		return 0, err
	}
	d, err := time.ParseDuration(value)
	switch {
	case err != nil:
		return 0, errSyntax
	case d < 0:
		return 0, errNegative
	case d > maxTimeout:
		return 0, errLarge
	}
	return d, nil
}
