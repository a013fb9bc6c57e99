package main

import (
	"crypto/rand"
	"encoding/base64"
	"net/http"

	"github.com/google/uuid"
)

// raw is the limit: chi and the bare driver call, with the bytes that this
// library stores, under the keys that it uses. It reads no cookie, checks no
// token, decodes and seals nothing, and sends no Set-Cookie, but for one
// variant (wire), which makes a token and sends it where every session
// library must: at login and renewal.
type raw struct {
	store rawStore
	wire  bool

	small, big record   // the sessions of B, C, F and of Dr, Dw
	keys       []rawKey // those of E and G, made beforehand
	next       int
}

// A rawStore is a driver's bare calls.
type rawStore interface {
	get(k rawKey) ([]byte, error)
	set(k rawKey, data []byte) error
	create(k rawKey, data []byte) error
	remove(k rawKey) error
}

// A rawKey is a key in the forms that the drivers want.
type rawKey struct {
	id   uuid.UUID
	text string
}

func newRawKey() rawKey {
	id := uuid.Must(uuid.NewV7())
	return rawKey{id, id.String()}
}

// A record is the key of a session and two versions of its bytes, stored in
// turns: bytes that stay the same, a server need not write.
type record struct {
	key  rawKey
	data [2][]byte
	turn int
}

// newRaw stores small and big, which are what this library has stored.
func newRaw(store rawStore, small, big []byte, wire bool) (*raw, error) {
	r := &raw{store: store, wire: wire, small: newRecord(small), big: newRecord(big)}
	for _, rec := range []*record{&r.small, &r.big} {
		if err := store.create(rec.key, rec.data[0]); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func newRecord(data []byte) record {
	other := make([]byte, len(data))
	for i, b := range data {
		other[i] = b ^ 0x55
	}
	return record{key: newRawKey(), data: [2][]byte{data, other}}
}

// stock makes the keys of the next n logins, and rewind goes back to the
// first.
func (r *raw) stock(n int) {
	r.keys = r.keys[:0]
	for range n {
		r.keys = append(r.keys, newRawKey())
	}
	r.next = 0
}

func (r *raw) rewind() { r.next = 0 }

func (r *raw) take() rawKey {
	k := r.keys[r.next]
	r.next++
	return k
}

func (r *raw) middleware(next http.Handler) http.Handler { return next }

func (r *raw) read(rec *record) (int, error) {
	b, err := r.store.get(rec.key)
	return len(b), err
}

func (r *raw) write(rec *record) error {
	rec.turn ^= 1
	return r.store.set(rec.key, rec.data[rec.turn])
}

func (r *raw) number(*http.Request) (int, error) { return r.read(&r.small) }

func (r *raw) add(http.ResponseWriter, *http.Request) (int, error) {
	if n, err := r.read(&r.small); err != nil {
		return n, err
	}
	return len(r.small.data[0]), r.write(&r.small)
}

func (r *raw) text(*http.Request, string) (string, error) {
	_, err := r.read(&r.big)
	return bigTexts[0], err
}

func (r *raw) setText(_ http.ResponseWriter, _ *http.Request, _, _ string) error {
	if _, err := r.read(&r.big); err != nil {
		return err
	}
	return r.write(&r.big)
}

func (r *raw) login(w http.ResponseWriter, _ *http.Request) error {
	if err := r.store.create(r.take(), r.small.data[0]); err != nil {
		return err
	}
	r.send(w)
	return nil
}

func (r *raw) fill(http.ResponseWriter, *http.Request, int, string) error { return errMissing }

func (r *raw) renew(w http.ResponseWriter, _ *http.Request) error {
	if _, err := r.read(&r.small); err != nil {
		return err
	}
	if err := r.write(&r.small); err != nil {
		return err
	}
	r.send(w)
	return nil
}

func (r *raw) destroy(http.ResponseWriter, *http.Request) error {
	k := r.take()
	if _, err := r.store.get(k); err != nil {
		return err
	}
	return r.store.remove(k)
}

// send makes a token and sends it.
func (r *raw) send(w http.ResponseWriter) {
	if !r.wire {
		return
	}
	var token [48]byte
	rand.Read(token[:])
	w.Header()["Set-Cookie"] = []string{"session=" + base64.RawURLEncoding.EncodeToString(token[:]) + "; Path=/; HttpOnly; Secure; SameSite=Lax"}
}
