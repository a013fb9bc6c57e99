package goredis_test

import (
	"context"
	"fmt"
	"os"

	"github.com/redis/go-redis/v9"

	"github.com/chisession/session"
	"github.com/chisession/session/backend/goredis"
)

// The client that the application has anyway: of one server, of a cluster, or of
// Sentinels.
func ExampleNew() {
	client := redis.NewUniversalClient(&redis.UniversalOptions{Addrs: []string{os.Getenv("SHOP_REDIS")}}) // 127.0.0.1:6379
	defer client.Close()
	store, err := goredis.New(client, goredis.Options{Prefix: "{shop}:session:"})
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
