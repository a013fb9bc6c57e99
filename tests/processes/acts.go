package main

import (
	"encoding/json"
	"net/http"

	"github.com/chisession/session"
	"github.com/chisession/session/flash"
)

// An act is what a handler does to its session with the query's key and value.
type act func(s *session.Session, key, value string) error

// acts are the paths.
var acts = map[string]act{
	"get":    func(*session.Session, string, string) error { return nil },
	"set":    func(s *session.Session, key, value string) error { s.Set(key, value); return nil },
	"delete": func(s *session.Session, key, _ string) error { s.Delete(key); return nil },
	"clear":  func(s *session.Session, _, _ string) error { s.Clear(); return nil },
	"update": func(s *session.Session, key, _ string) error {
		_, err := session.Update(s, key, func(n int) int { return n + 1 })
		return err
	},
	"save":   func(s *session.Session, key, value string) error { s.Set(key, value); return s.Save() },
	"reload": func(s *session.Session, _, _ string) error { return s.Reload() },
	"renew":  func(s *session.Session, _, _ string) error { s.Renew(); return nil },
	"login":  func(s *session.Session, _, user string) error { s.SetUser(user); return nil },
	"logout": func(s *session.Session, _, _ string) error { s.Destroy(); return nil },
	"flash": func(s *session.Session, _, text string) error {
		flash.Of(s).Add(flash.LevelNotice, "%s", text)
		return nil
	},
	"take": func(s *session.Session, _, _ string) error {
		messages, err := flash.Of(s).Take()
		for _, message := range messages {
			s.SetLocal(shownKey{}, append(shown(s), message.Text))
		}
		return err
	},
}

// shown returns the messages that this request took.
func shown(s *session.Session) []string {
	messages, _ := s.Local(shownKey{}).([]string)
	return messages
}

type shownKey struct{}

// A state is the response: the session as its request saw it. Session.Token is
// left out: what a browser may know comes in the cookie or not at all.
type state struct {
	ID     string         `json:"id"`
	User   string         `json:"user"`
	New    bool           `json:"new"`
	Values map[string]any `json:"values"`
	Shown  []string       `json:"shown,omitempty"` // the flash messages taken
	Error  string         `json:"error,omitempty"` // what the act returned
}

// handler does act, and waits at the gate that the query names, if it names
// one: before the act, or with when=after, before the response.
func (g *gates) handler(act act) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s := session.FromContext(r)
		name, after := r.FormValue("gate"), r.FormValue("when") == "after"
		if name != "" && !after {
			g.named(name).pass(r.Context())
		}
		err := act(s, r.FormValue("key"), r.FormValue("value"))
		if name != "" && after {
			g.named(name).pass(r.Context())
		}
		answer(w, s, err)
	}
}

// watch is a request that ends with its session. Once it watches, it waits at the
// gate.
func (g *gates) watch(w http.ResponseWriter, r *http.Request) {
	s := session.FromContext(r)
	done := s.Done()
	g.named(r.FormValue("gate")).pass(r.Context())
	wait(r.Context(), done)
	answer(w, s, nil)
}

func answer(w http.ResponseWriter, s *session.Session, err error) {
	now := state{ID: s.ID(), User: s.User(), New: s.IsNew(), Values: map[string]any{}, Shown: shown(s)}
	for _, key := range s.Keys() {
		now.Values[key] = s.Get(key)
	}
	if err != nil {
		now.Error = err.Error()
		w.WriteHeader(http.StatusConflict)
	}
	if err := json.NewEncoder(w).Encode(now); err != nil {
		panic(http.ErrAbortHandler) // the client has gone
	}
}
