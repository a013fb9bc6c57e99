package mysql_test

import (
	"fmt"
	"log"
	"strings"

	"github.com/jmoiron/sqlx"

	"github.com/chisession/session"
	"github.com/chisession/session/backend/mysql"
)

// The pool that the application has anyway, and a table of another name.
func ExampleNew() {
	db, err := sqlx.Connect("mysql", "shop:password@tcp(127.0.0.1:3306)/shop?interpolateParams=true")
	if err != nil {
		log.Fatal(err)
	}
	store, err := mysql.New(db, mysql.Options{Table: "web_sessions"}) // makes the table, if it is missing
	if err != nil {
		log.Fatal(err)
	}
	m, err := session.New(session.Config{Store: store})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
}

// For those who make the table themselves: with a migration tool, say.
func ExampleSchema() {
	for _, statement := range mysql.Schema("shop.web_sessions") {
		first, _, _ := strings.Cut(statement, "\n")
		fmt.Println(first)
	}
	// Output: CREATE TABLE IF NOT EXISTS `shop`.`web_sessions` (
}
