// Login is a small shop with all that sessions are for: a login that renews
// the session, a cart that is kept across it, messages across redirects, "keep
// me signed in", a list of devices, a password asked again before paying, live
// streams that end with the session, logout, here or everywhere, and a word to
// those whose session has ended by itself.
//
//	go run ./examples/login
//	go run ./examples/login -provider file -save-path ./tmp
//	go run ./examples/login -provider redis -save-path 127.0.0.1:6379
//	go run ./examples/login -provider mysql -save-path 'user:password@tcp(127.0.0.1:3306)/shop'
//	go run ./examples/login -provider postgres -save-path postgres://user:password@127.0.0.1:5432/shop
//	go run ./examples/login -provider sqlite -save-path ./shop.db
//	go run ./examples/login -provider goredis -save-path redis+cluster://127.0.0.1:7000,127.0.0.1:7001
//	go run ./examples/login -provider rueidis -save-path redis://127.0.0.1:6379/0
//	go run ./examples/login -config app.conf
//	go run ./examples/login -cert cert.pem -key key.pem
//	go run ./examples/login -cert cert.pem -key key.pem -device-bound
//
// The shop itself is package shop.
package main

import (
	"log"
	"os"

	_ "github.com/chisession/session/backend/mysql" // known by name from here on
	_ "github.com/chisession/session/backend/redis"
	"github.com/chisession/session/examples/login/shop"
)

func main() {
	o := shop.Flags()
	if cfg, err := o.Sessions(); err == nil && ownModule(cfg.Provider) {
		code, err := runStores(cfg.Provider, os.Args[1:])
		if err != nil {
			log.Fatal(err)
		}
		os.Exit(code)
	}
	shop.Main(o)
}
