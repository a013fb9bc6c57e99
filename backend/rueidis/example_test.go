package rueidis_test

import (
	"context"
	"fmt"
	"os"

	"github.com/redis/rueidis"

	"github.com/chisession/session"
	sessions "github.com/chisession/session/backend/rueidis"
)

// The client that the application has anyway: of one server, of a cluster, or of
// Sentinels.
func ExampleNew() {
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{os.Getenv("SHOP_REDIS")}}) // 127.0.0.1:6379
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	store, err := sessions.New(client, sessions.Options{Prefix: "{shop}:session:"})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := store.Check(context.Background()); err != nil { // may the account do all that sessions need?
		fmt.Println(err)
		return
	}
	m, err := session.New(session.Config{Store: store})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()
	fmt.Println("ready")
	// Output: ready
}
