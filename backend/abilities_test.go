package backend_test

import (
	"context"
	"testing"

	"github.com/chisession/session/backend"
)

// bare is a store that can nothing besides.
type bare struct{ backend.Store }

// rich has some of the optional parts.
type rich struct{ bare }

func (rich) Count(context.Context) (int, error) { return 7, nil }

func (rich) InProcess() {}

func (rich) Bounded() bool { return false }

func (rich) Confirms() bool { return true }

func (rich) Durability() string { return "a crash loses all" }

func TestAbilitiesOf(t *testing.T) {
	if got := backend.AbilitiesOf(bare{}); got != (backend.Abilities{}) {
		t.Errorf("a bare store can %+v", got)
	}
	want := backend.Abilities{Counter: rich{}, InProcess: true, Confirms: true, Durability: "a crash loses all"}
	if got := backend.AbilitiesOf(rich{}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	want.InProcess, want.Bounded = false, true
	if got := backend.AbilitiesOf(backend.With(rich{}, want)); got != want {
		t.Errorf("what a store says itself: got %+v, want %+v", got, want)
	}
	if _, counts := backend.With(rich{}, backend.Abilities{}).(backend.Counter); counts {
		t.Error("a store has a part that With left out")
	}
}
