package backendtest_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/backendtest"
	"github.com/chisession/session/backend/memory"
)

// A backend proves itself in one test. If several processes can share its
// storage, a second test does the same with RunShared.
func ExampleRun() {
	// In a test file of the backend: func TestConformance(t *testing.T) {
	TestConformance := func(t *testing.T) {
		backendtest.Run(t, func(t *testing.T) backend.Store {
			store, err := memory.New(memory.Options{}) // yours: on a new directory, table or prefix
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { store.Close() })
			return store
		})
	}
	_ = TestConformance
}

// A Fault makes the store fail where a test wants it.
func ExampleFault() {
	store, err := memory.New(memory.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fault := backendtest.NewFault(store)
	s := fault.Store() // for session.Config.Store, or what is to be tested

	ctx := context.Background()
	rec := backend.Record{ID: uuid.Must(uuid.NewV7()), Expires: time.Now().Add(time.Hour)}
	fault.On(backendtest.OpCreate, 1, backendtest.Fail(errors.New("disk on fire")))
	fmt.Println(s.Create(ctx, rec))
	fault.Lose(backendtest.OpCreate, 1)
	fmt.Println(s.Create(ctx, rec)) // done, but the caller cannot know
	fmt.Println(s.Create(ctx, rec))
	fmt.Println(fault.Calls(backendtest.OpCreate), "calls")
	// Output:
	// disk on fire
	// backendtest: reply lost
	// backend: record exists
	// 3 calls
}
