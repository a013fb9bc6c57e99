package main

import (
	"crypto/rand"
	"net/http"

	"github.com/chisession/session"
	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

var pending = session.NewKey[struct{ State, Nonce, Verifier string }]("oidc")

func (l login) start(w http.ResponseWriter, r *http.Request) {
	p := struct{ State, Nonce, Verifier string }{rand.Text(), rand.Text(), oauth2.GenerateVerifier()}
	pending.Set(session.FromContext(r), p)
	http.Redirect(w, r, l.client.AuthCodeURL(p.State, oidc.Nonce(p.Nonce), oauth2.S256ChallengeOption(p.Verifier)), http.StatusSeeOther)
}

func (l login) finish(w http.ResponseWriter, r *http.Request) {
	p, ok := pending.Pop(session.FromContext(r)) // each is good for one try
	if !ok || r.FormValue("state") != p.State {
		http.Error(w, "this login did not start here", http.StatusForbidden)
		return
	}
	token, err := l.client.Exchange(r.Context(), r.FormValue("code"), oauth2.VerifierOption(p.Verifier))
	if err != nil {
		http.Error(w, "the provider does not know this login", http.StatusForbidden)
		return
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := l.ids.Verify(r.Context(), raw)
	if err != nil || id.Nonce != p.Nonce {
		http.Error(w, "the provider's token is not for this login", http.StatusForbidden)
		return
	}
	session.FromContext(r).SetUser(id.Subject) // id.Issuer + id.Subject, where there are several providers
	http.Redirect(w, r, "/", http.StatusSeeOther)
}
