package response

import (
	"net/http"
	"reflect"
	"slices"
	"sync/atomic"
)

//go:generate go run ./gen

// abilities are the optional interfaces that a ResponseWriter has, a bit each.
type abilities uint8

// found are the abilities of every type of writer seen, of which a program has
// a handful: type assertions that fail are slow.
var found atomic.Pointer[[]ability]

type ability struct {
	of  reflect.Type
	can abilities
}

// abilitiesOf returns what w can do. A writer that wraps another is asked each
// time: what it can do depends on what it wraps.
func abilitiesOf(w http.ResponseWriter) abilities {
	t := reflect.TypeOf(w)
	var known []ability
	before := found.Load()
	if before != nil {
		known = *before
	}
	for i := range known {
		if known[i].of == t {
			return known[i].can
		}
	}
	can := find(w)
	if !is[interface{ Unwrap() http.ResponseWriter }](w) {
		after := append(slices.Clip(known), ability{t, can})
		found.CompareAndSwap(before, &after) // if another was faster, the next request notes it
	}
	return can
}

// closeNotifier is http.CloseNotifier, which is deprecated and still relied
// upon (by gin's Stream, say).
type closeNotifier interface{ CloseNotify() <-chan bool }

func is[T any](w http.ResponseWriter) bool {
	_, ok := w.(T)
	return ok
}

// flushes reports whether w can flush, itself or through Unwrap: in that case
// http.ResponseController would go past us to the one that can.
func flushes(w http.ResponseWriter) bool {
	for w != nil {
		switch v := w.(type) {
		case http.Flusher, interface{ FlushError() error }:
			return true
		case interface{ Unwrap() http.ResponseWriter }:
			w = v.Unwrap()
		default:
			return false
		}
	}
	return false
}

// hijacks reports whether w can hand over its connection, as flushes does.
func hijacks(w http.ResponseWriter) bool {
	for w != nil {
		switch v := w.(type) {
		case http.Hijacker:
			return true
		case interface{ Unwrap() http.ResponseWriter }:
			w = v.Unwrap()
		default:
			return false
		}
	}
	return false
}
