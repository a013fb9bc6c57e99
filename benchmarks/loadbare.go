package main

import (
	"bytes"
	"net/http"
	"strings"

	"github.com/google/uuid"
)

// bare is the limit of a load: chi and the driver's calls, for many sessions at
// once. Unlike raw, which knows its two records beforehand, it finds the key of
// the session in the Cookie header, as text, and sends it at login. That is all:
// no secret, no expiry, no version, no decoding, no sealing.
type bare struct {
	raw // what no load asks for

	store rawStore
	data  []byte // of a new session: as many bytes as this library stores, the first of them the count
}

const bareCookie = "raw="

func newBare(store rawStore, data []byte) *bare {
	data = bytes.Clone(data)
	if len(data) > 0 {
		data[0] = 1
	}
	return &bare{store: store, data: data}
}

// keyOfRequest returns the key that the request's cookie names.
func keyOfRequest(r *http.Request) (rawKey, error) {
	text, ok := strings.CutPrefix(r.Header.Get("Cookie"), bareCookie)
	if !ok {
		return rawKey{}, errMissing
	}
	id, err := uuid.Parse(text)
	return rawKey{id, text}, err
}

func (b *bare) load(r *http.Request) (k rawKey, data []byte, err error) {
	if k, err = keyOfRequest(r); err != nil {
		return k, nil, err
	}
	data, err = b.store.get(k)
	if err == nil && len(data) != len(b.data) {
		err = errMissing
	}
	return k, data, err
}

func (b *bare) number(r *http.Request) (int, error) {
	_, data, err := b.load(r)
	if err != nil {
		return 0, err
	}
	return int(data[0]), nil
}

func (b *bare) add(_ http.ResponseWriter, r *http.Request) (int, error) {
	k, data, err := b.load(r)
	if err != nil {
		return 0, err
	}
	data = bytes.Clone(data) // a map's is shared
	data[0]++
	return int(data[0]), b.store.set(k, data)
}

func (b *bare) login(w http.ResponseWriter, _ *http.Request) error {
	k := newRawKey()
	if err := b.store.create(k, b.data); err != nil {
		return err
	}
	w.Header()["Set-Cookie"] = []string{bareCookie + k.text}
	return nil
}
