package session

import "net/http"

//go:generate go run ./internal/genwriter

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
