package gc_test

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/memory"
	"github.com/chisession/session/gc"
)

// A manager sweeps by itself. With SweepEvery: -1 it does not, and one process of
// many, or a job at night, does it for all.
func ExampleSweep() {
	store, err := memory.New(memory.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer store.Close()
	for range 3 {
		rec := backend.Record{ID: uuid.Must(uuid.NewV7()), Expires: time.Now().Add(-time.Minute)}
		if err := store.Create(context.Background(), rec); err != nil {
			fmt.Println(err)
		}
	}

	removed, err := gc.Sweep(context.Background(), store)
	fmt.Println(removed, err)
	// Output: 3 <nil>
}
