// Stores is the login example with all backends, those too that are modules of
// their own: this folder is a module of its own as well, so that nobody else
// gets their drivers. It has the flags of examples/login, which runs it when
// -provider is one of these:
//
//	go run ./examples/login -provider sqlite -save-path ./shop.db
package main

import (
	_ "github.com/chisession/session/backend/goredis" // known by name from here on
	_ "github.com/chisession/session/backend/mysql"
	_ "github.com/chisession/session/backend/postgres"
	_ "github.com/chisession/session/backend/redis"
	_ "github.com/chisession/session/backend/rueidis"
	_ "github.com/chisession/session/backend/sqlite"
	"github.com/chisession/session/examples/login/shop"
)

func main() { shop.Main(shop.Flags()) }
