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

// An Able store declares its abilities itself. A wrapper has to, as the methods of a
// type cannot depend on what it wraps. [With] makes one.
type Able interface {
	// Abilities returns the store's abilities, always the same.
	Abilities() Abilities
}

// AbilitiesOf returns the abilities of store: those that it declares, if it is
// [Able], and else the optional interfaces that it implements. Code that wraps or
// uses a store asks here, and not by a type assertion.
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

// With returns store with the abilities in can, and no others. A wrapper starts from
// [AbilitiesOf] the store inside, replaces those that it handles in its own way, and
// leaves the others as they are:
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
