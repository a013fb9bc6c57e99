package redis_test

import (
	"fmt"

	"github.com/gomodule/redigo/redis"

	"github.com/chisession/session"
	sessions "github.com/chisession/session/backend/redis"
)

// The pool that the application has anyway. A store that is opened by name is
// checked at start; for a pool of your own, Store.Check does it.
func ExampleNew() {
	pool := &redis.Pool{
		MaxActive: 100, MaxIdle: 10, Wait: true,
		Dial: func() (redis.Conn, error) { return redis.Dial("tcp", "127.0.0.1:6379") },
	}
	defer pool.Close()
	store, err := sessions.New(pool, sessions.Options{Prefix: "shop:session:"})
	if err != nil {
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

// A mistake in a save path is an error that never repeats the password.
func ExampleOpen() {
	_, err := sessions.Open("redis://:s3cret@127.0.0.1:6379/zero")
	fmt.Println(err)
	// Output: redis: open: the save path's database is not a number from 0 to 1073741824
}
