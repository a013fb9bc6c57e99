package backendtest

import "github.com/chisession/session/backend"

// full is a wrapper that has all methods, whether its inner store has them or
// not. It is never handed out as it is; see expose.
type full interface {
	backend.Store
	backend.VersionedDeleter
	backend.Sweeper
	backend.UserIndex
	backend.Counter
}

// base is what every exposed store has. That it has methods Bounded and Confirms
// claims nothing, as those can say no. InProcess does by being there: it is a method of
// the pointer only, so that a store is in-process if it is one; see as.
type base struct {
	backend.Store
	bounded, confirms bool
}

func (b base) Bounded() bool { return b.bounded }

func (b base) Confirms() bool { return b.confirms }

func (b *base) InProcess() {}

// as returns the store v, in-process or not.
func as[T backend.Store](v T, inProcess bool) backend.Store {
	if inProcess {
		return any(&v).(backend.Store)
	}
	return v
}

// expose returns f as a store that has exactly the interfaces of have. A type
// has the methods that it has, so it takes a type for each set.
func expose(f full, have Capability) backend.Store {
	type (
		versioned = backend.VersionedDeleter
		sweeper   = backend.Sweeper
		index     = backend.UserIndex
		counter   = backend.Counter
	)
	const V, S, U, C = VersionedDeleter, Sweeper, UserIndex, Counter
	b, in := base{f, have&Bounded != 0, have&Confirmer != 0}, have&InProcess != 0
	switch have & (V | S | U | C) {
	case V:
		return as(struct {
			base
			versioned
		}{b, f}, in)
	case S:
		return as(struct {
			base
			sweeper
		}{b, f}, in)
	case V | S:
		return as(struct {
			base
			versioned
			sweeper
		}{b, f, f}, in)
	case U:
		return as(struct {
			base
			index
		}{b, f}, in)
	case V | U:
		return as(struct {
			base
			versioned
			index
		}{b, f, f}, in)
	case S | U:
		return as(struct {
			base
			sweeper
			index
		}{b, f, f}, in)
	case V | S | U:
		return as(struct {
			base
			versioned
			sweeper
			index
		}{b, f, f, f}, in)
	case C:
		return as(struct {
			base
			counter
		}{b, f}, in)
	case V | C:
		return as(struct {
			base
			versioned
			counter
		}{b, f, f}, in)
	case S | C:
		return as(struct {
			base
			sweeper
			counter
		}{b, f, f}, in)
	case V | S | C:
		return as(struct {
			base
			versioned
			sweeper
			counter
		}{b, f, f, f}, in)
	case U | C:
		return as(struct {
			base
			index
			counter
		}{b, f, f}, in)
	case V | U | C:
		return as(struct {
			base
			versioned
			index
			counter
		}{b, f, f, f}, in)
	case S | U | C:
		return as(struct {
			base
			sweeper
			index
			counter
		}{b, f, f, f}, in)
	case V | S | U | C:
		return as(struct {
			base
			versioned
			sweeper
			index
			counter
		}{b, f, f, f, f}, in)
	}
	return as(b, in)
}
