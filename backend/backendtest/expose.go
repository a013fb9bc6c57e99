package backendtest

import "github.com/chisession/session/backend"

// full is a wrapper that has all methods, whether its inner store has them or
// not. It is never handed out as it is; see expose.
type full interface {
	backend.Store
	backend.VersionedDeleter
	backend.Sweeper
	backend.UserIndex
	backend.Lister
	backend.Counter
	backend.Comparer
}

// expose returns f as a store that has exactly the interfaces of have.
func expose(f full, have Capability) backend.Store {
	can := backend.Abilities{InProcess: have&InProcess != 0, Bounded: have&Bounded != 0, Confirms: have&Confirmer != 0}
	if have&VersionedDeleter != 0 {
		can.VersionedDeleter = f
	}
	if have&Sweeper != 0 {
		can.Sweeper = f
	}
	if have&UserIndex != 0 {
		can.UserIndex = f
	}
	if have&Lister != 0 {
		can.Lister = f
	}
	if have&Counter != 0 {
		can.Counter = f
	}
	if have&Comparer != 0 {
		can.Comparer = f
	}
	return backend.With(f, can)
}
