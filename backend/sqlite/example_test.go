package sqlite_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"

	"github.com/chisession/session"
	_ "github.com/chisession/session/backend/sqlite" // known by name from here on
)

// A file beside the program. The table is made at the first start.
func Example() {
	dir, err := os.MkdirTemp("", "sessions")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	cfg := session.Config{Provider: "sqlite", SavePath: filepath.Join(dir, "sessions.db")}
	for range 2 { // start, serve, stop: the session is there after it
		m, err := session.New(cfg)
		if err != nil {
			fmt.Println(err)
			return
		}
		s, err := m.Start(httptest.NewRecorder(), httptest.NewRequest("GET", "https://shop.example/", nil))
		if err != nil {
			fmt.Println(err)
			return
		}
		s.SetUser("ada")
		s.Release()
		sessions, err := m.Sessions(context.Background(), "ada")
		fmt.Println(len(sessions), err)
		m.Close()
	}
	// Output:
	// 1 <nil>
	// 2 <nil>
}
