package migrate

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/chisession/session/backend"
)

// A mark is a record in the new store that says how far the adoption of one
// old session has come, for requests in whatever process: first that somebody
// is at it, then which new session it has become. Its ID is a hash of the old
// one, so creating it is what only one process can do.
//
// The new session's cookie is in it, sealed with a key that only the old ID
// yields: who can read the store, and does not have the browser's old cookie,
// learns nothing.
type mark struct {
	rec    backend.Record
	lines  []string // of Set-Cookie; none while the adoption is under way
	sealer cipher.AEAD
}

// ready reports whether the new session is stored.
func (m *mark) ready() bool { return len(m.lines) > 0 }

const (
	markFormat = 1

	// claimSlack is how much longer than an adoption may take its claim
	// lasts, so that the clocks of this host and of the store may differ.
	// After that, whoever made it has died.
	claimSlack = grace

	// cleanUpTimeout bounds what must be done after an adoption has failed.
	cleanUpTimeout = time.Second
)

var errMark = errors.New("migrate: the mark of an adoption is damaged")

// newMark returns the mark of the old session id, which is not stored yet.
func newMark(format, id string) (*mark, error) {
	sum := sha256.Sum256([]byte("session/migrate mark\x00" + format + "\x00" + id))
	m := &mark{}
	copy(m.rec.ID[:], sum[:])
	m.rec.ID[6] = m.rec.ID[6]&0x0f | 0x80 // version 8 (RFC 9562 §5.8)
	m.rec.ID[8] = m.rec.ID[8]&0x3f | 0x80
	key, err := hkdf.Key(sha256.New, []byte(id), nil, "session/migrate ticket\x00"+format, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	m.sealer, err = cipher.NewGCM(block)
	return m, err
}

// seal makes the record's data of m's lines.
func (m *mark) seal() {
	nonce := make([]byte, m.sealer.NonceSize())
	rand.Read(nonce) // never fails
	data := append([]byte{markFormat}, nonce...)
	m.rec.Data = m.sealer.Seal(data, nonce, []byte(strings.Join(m.lines, "\n")), m.rec.ID[:])
}

// open reads the record's data.
func (m *mark) open() error {
	data, size := m.rec.Data, m.sealer.NonceSize()
	if len(data) < 1+size || data[0] != markFormat {
		return errMark
	}
	text, err := m.sealer.Open(nil, data[1:1+size], data[1+size:], m.rec.ID[:])
	if err != nil {
		return errMark
	}
	m.lines = nil
	if len(text) > 0 {
		m.lines = strings.Split(string(text), "\n")
	}
	return nil
}

// ticket returns what lets requests into the session of a mark that is ready.
func (m *mark) ticket() (ticket, error) {
	return newTicket(http.Header{"Set-Cookie": m.lines})
}

// claim stores the mark of id: nobody else adopts that session now. It is
// backend.ErrExists if somebody does, or has.
func (a *adopter) claim(ctx context.Context, store backend.Store, id string) (*mark, error) {
	m, err := newMark(a.format.Name, id)
	if err != nil {
		return nil, err
	}
	m.rec.Expires = time.Now().Add(a.opts.Timeout + claimSlack).Truncate(time.Millisecond)
	m.seal()
	err = store.Create(ctx, m.rec)
	if err != nil && !errors.Is(err, backend.ErrExists) {
		// The reply may be lost: then this one, with its nonce, is there.
		if there, loadErr := store.Load(ctx, m.rec.ID); loadErr == nil && bytes.Equal(there.Data, m.rec.Data) {
			err = nil
		}
	}
	m.rec.Version = 1
	return m, err
}

// marked returns the mark of id, nil if there is none.
func (a *adopter) marked(ctx context.Context, store backend.Store, id string) (*mark, error) {
	m, err := newMark(a.format.Name, id)
	if err != nil {
		return nil, err
	}
	rec, err := store.Load(ctx, m.rec.ID)
	if errors.Is(err, backend.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look up who adopted the old session: %w", err)
	}
	m.rec = rec
	return m, m.open()
}

// write stores m as it is now, if nobody else has meanwhile.
func (m *mark) write(ctx context.Context, store backend.Store) error {
	m.seal()
	rec := m.rec
	rec.Shorten = true
	if err := store.Update(ctx, rec); err != nil {
		return err
	}
	m.rec.Version++
	return nil
}

// drop removes m if nobody else has written it meanwhile; then it is
// backend.ErrConflict.
func (m *mark) drop(ctx context.Context, store backend.Store) error {
	if versioned := backend.AbilitiesOf(store).VersionedDeleter; versioned != nil {
		err := versioned.DeleteVersion(ctx, m.rec.ID, m.rec.Version)
		if errors.Is(err, backend.ErrNotFound) {
			return nil
		}
		return err
	}
	m.rec.Expires = time.UnixMilli(0)
	if err := m.write(ctx, store); err != nil && !errors.Is(err, backend.ErrNotFound) {
		return err
	}
	return store.Delete(ctx, m.rec.ID)
}

// settle has the mark end soon, because the browser has its new cookie: until
// then it is what keeps the user logged in.
func (m *mark) settle(ctx context.Context, store backend.Store) error {
	soon := time.Now().Add(grace).Truncate(time.Millisecond)
	if !m.rec.Expires.After(soon) {
		return nil
	}
	m.rec.Expires = soon
	err := m.write(ctx, store)
	if errors.Is(err, backend.ErrConflict) || errors.Is(err, backend.ErrNotFound) {
		return nil // another request of the browser has done it
	}
	return err
}
