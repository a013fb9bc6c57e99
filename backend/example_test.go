package backend_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/memory"
)

// A logged is a Store that logs what takes too long.
type logged struct {
	backend.Store
	limit time.Duration
}

func (s logged) Load(ctx context.Context, id uuid.UUID) (backend.Record, error) {
	start := time.Now()
	rec, err := s.Store.Load(ctx, id)
	if took := time.Since(start); took > s.limit {
		slog.WarnContext(ctx, "slow load", "took", took, "id", id)
	}
	return rec, err
}

// A wrapper overrides what it is about, and passes on all else that the store
// can: With says so, as its own methods do not. Hand it to session.Config as
// WrapStore.
func ExampleWith() {
	wrap := func(store backend.Store) backend.Store {
		return backend.With(logged{store, 100 * time.Millisecond}, backend.AbilitiesOf(store))
	}

	store, err := memory.New(memory.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	wrapped := wrap(store)
	fmt.Println("can count:", backend.AbilitiesOf(wrapped).Counter != nil)
	_, err = wrapped.Load(context.Background(), uuid.Must(uuid.NewV7()))
	fmt.Println("not found:", errors.Is(err, backend.ErrNotFound))
	// Output:
	// can count: true
	// not found: true
}

// A backend of your own is known by name from when its package is imported:
// Provider: "shop" in session.Config, sessionprovider = shop in app.conf.
func ExampleRegister() {
	backend.Register("shop", func(savePath string) (backend.Store, error) { // in an init function
		return memory.New(memory.Options{})
	})

	_, err := backend.Open("shop", "")
	fmt.Println(err)
	_, err = backend.Open("postgres", "")
	fmt.Println(err != nil) // it says which import is missing
	// Output:
	// <nil>
	// true
}
