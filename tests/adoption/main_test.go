package adoption

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"os"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/chisession/session"
	"github.com/chisession/session/internal/testserver"
	"github.com/chisession/session/internal/visit"
	"github.com/chisession/session/migrate"
)

// server is the PostgreSQL of this package's tests.
var server *testserver.Postgres

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var err error
	if server, err = testserver.StartPostgres(testserver.PostgresOptions{}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if err := server.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	return code
}

var background = context.Background()

// database makes an empty database and returns its connection string.
func database(t *testing.T) string {
	t.Helper()
	name, err := server.CreateDatabase()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.DropDatabase(name); err != nil {
			t.Error(err)
		}
	})
	return server.DSN(name)
}

// open opens a pool of database/sql and runs statements on it.
func open(t *testing.T, driver, dsn, statements string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if _, err := db.Exec(statements); err != nil {
		t.Fatal(err)
	}
	return db
}

// cart is a type of the application's.
type cart struct{ Items []string }

// login is what the application tells the adoption.
func login(_ *http.Request, s *session.Session, old map[string]any) error {
	if user, ok := old["user"].(string); ok {
		s.SetUser(user)
	}
	return nil
}

// show writes what the new application knows of a session.
func show(w http.ResponseWriter, r *http.Request) {
	s := session.FromContext(r)
	items, _ := session.Get[cart](s, "cart")
	fmt.Fprint(w, s.User(), " ", s.Get("n"), " ", items.Items)
}

// known is what show writes for what the old application stored.
const known = "ann 42 [tea]"

// application returns the new application, which adopts as adopt has it.
func application(t *testing.T, adopt func(*session.Manager, migrate.Options) func(http.Handler) http.Handler) (*session.Manager, http.Handler) {
	t.Helper()
	m, err := session.New(session.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m, m.Middleware(adopt(m, migrate.Options{Adopted: login})(http.HandlerFunc(show)))
}

// browse makes a request with cookies, and returns the body of the response and
// the cookies that the browser has then.
func browse(h http.Handler, cookies []*http.Cookie) (body string, after []*http.Cookie) {
	w := visit.Get(h, "https://shop.example/", cookies...)
	return w.Body.String(), visit.Jar(cookies, w.Result())
}
