package response

import (
	"net/http"
	"reflect"
	"sync"
)

//go:generate go run ./gen

// abilities are the optional interfaces that a ResponseWriter has, a bit each.
type abilities uint8

// found keeps the abilities of every type of writer seen, of which a program
// has a handful: type assertions that fail are slow.
var found sync.Map // reflect.Type → abilities

// abilitiesOf returns what w can do. A writer that wraps another is asked each
// time: what it can do depends on what it wraps.
func abilitiesOf(w http.ResponseWriter) abilities {
	t := reflect.TypeOf(w)
	if can, ok := found.Load(t); ok {
		return can.(abilities)
	}
	can := find(w)
	if !is[interface{ Unwrap() http.ResponseWriter }](w) {
		found.Store(t, can)
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
