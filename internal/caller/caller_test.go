package caller

import (
	"regexp"
	"testing"
)

func TestStack(t *testing.T) {
	if got := Here().String(); !regexp.MustCompile(`^caller/caller_test\.go:\d+$`).MatchString(got) {
		t.Errorf("called from %q, want this file and a line", got)
	}
	if got := (Stack{}).String(); got != "" {
		t.Errorf("of no stack: %q, want nothing", got)
	}
}

func TestOwn(t *testing.T) {
	for function, want := range map[string]bool{
		"github.com/chisession/session.(*Session).Set":           true,
		"github.com/chisession/session.Key[...].Set":             true,
		"github.com/chisession/session/flash.(*Flash).Add":       true,
		"github.com/chisession/session/devicebound.Bound":        true,
		"github.com/chisession/session/devicebound_test.TestX":   false,
		"github.com/chisession/session_test.TestX":               false,
		"github.com/chisession/session/examples/login.(*app).in": false,
		"github.com/chisession/session/internal/behaviour.x":     false,
		"example.com/shop.cart":                                  false,
		"main.main":                                              false,
	} {
		if got := own(function); got != want {
			t.Errorf("own(%s) = %v, want %v", function, got, want)
		}
	}
}
