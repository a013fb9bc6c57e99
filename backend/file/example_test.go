package file_test

import (
	"fmt"
	"os"

	"github.com/chisession/session"
	"github.com/chisession/session/backend/file"
)

// With Sync, a power cut costs no login that was acknowledged, and a write is as
// slow as the disk. Without it, Provider: "file" does the same as New.
func ExampleNew() {
	dir, err := os.MkdirTemp("", "sessions")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	store, err := file.New(dir, file.Options{Sync: true})
	if err != nil {
		fmt.Println(err) // it says what is wrong with the directory, and the cure
		return
	}
	defer store.Close()
	m, err := session.New(session.Config{Store: store})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close() // leaves the store open: it is yours
	fmt.Println("ready")
	// Output: ready
}
