package backend

import "io"

// Abilities are the optional parts of a [Store]. What a store lacks is nil, or
// false.
type Abilities struct {
	VersionedDeleter VersionedDeleter
	Sweeper          Sweeper
	UserIndex        UserIndex
	Lister           Lister
	Counter          Counter
	Comparer         Comparer
	Closer           io.Closer // what closes a store that was opened by name

	InProcess bool // see the interface InProcess
	Bounded   bool // what its method Bounded says
	Confirms  bool // what its method Confirms says

	Durability string // what its method Durability says
}

// An Able store says itself what it can. A wrapper is one: the methods of a type
// cannot depend on what it wraps. [With] makes one.
type Able interface {
	// Abilities returns what the store can, always the same.
	Abilities() Abilities
}

// AbilitiesOf returns what store can: what it says, if it is [Able], and else
// which of the optional interfaces it implements. Whoever wraps a store, and
// whoever uses one, asks here and not by a type assertion.
func AbilitiesOf(store Store) Abilities {
	if able, ok := store.(Able); ok {
		return able.Abilities()
	}
	var can Abilities
	can.VersionedDeleter, _ = store.(VersionedDeleter)
	can.Sweeper, _ = store.(Sweeper)
	can.UserIndex, _ = store.(UserIndex)
	can.Lister, _ = store.(Lister)
	can.Counter, _ = store.(Counter)
	can.Comparer, _ = store.(Comparer)
	can.Closer, _ = store.(io.Closer)
	_, can.InProcess = store.(InProcess)
	if b, ok := store.(Bounded); ok {
		can.Bounded = b.Bounded()
	}
	if c, ok := store.(Confirmer); ok {
		can.Confirms = c.Confirms()
	}
	if d, ok := store.(Durable); ok {
		can.Durability = d.Durability()
	}
	return can
}

// With returns store as one that can what can says, and nothing else. A wrapper
// of a store returns itself with those of the parts of [AbilitiesOf] the store
// that it wraps in its own way, and the others as they are:
//
//	can := backend.AbilitiesOf(inner)
//	if can.UserIndex != nil {
//		can.UserIndex = wrapped
//	}
//	return backend.With(wrapped, can)
func With(store Store, can Abilities) Store { return &able{store, can} }

type able struct {
	Store
	can Abilities
}

func (a *able) Abilities() Abilities { return a.can }
