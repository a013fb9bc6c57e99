package gorilla_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/migrate"
	"github.com/chisession/session/migrate/gorilla"
)

// A user who logged in under gorilla/sessions stays logged in. The codecs are
// those of the old program: securecookie.CodecsFromPairs(key)...
func ExampleAdopt() {
	db := sql.OpenDB(pgstore{}) // sql.Open("pgx", os.Getenv("DATABASE_URL"))
	defer db.Close()
	m, err := session.New(session.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()
	old := gorilla.Postgres(db, "", "shop", codec{})
	adopt := gorilla.Adopt(m, old, migrate.Options{
		Adopted: func(_ *http.Request, s *session.Session, old map[string]any) error {
			name, _ := old["user"].(string)
			s.SetUser(name)
			return nil
		},
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "hello ", session.FromContext(r).User())
	})

	r := httptest.NewRequest("GET", "https://shop.example/", nil)
	r.AddCookie(&http.Cookie{Name: "shop", Value: "signed"})
	w := httptest.NewRecorder()
	m.Middleware(adopt(page)).ServeHTTP(w, r) // with chi: r.Use(m.Middleware, adopt)
	fmt.Println(w.Body)
	// Output: hello ada
}

// A codec stands for those of securecookie.
type codec struct{}

func (codec) Decode(_, value string, dst any) error {
	switch dst := dst.(type) {
	case *string: // the cookie
		*dst = strings.Repeat("A", 52)
	case *map[any]any: // the row
		*dst = map[any]any{"user": value}
	}
	return nil
}

// A pgstore stands for PostgreSQL, with one row in its table.
type pgstore struct{}

func (p pgstore) Connect(context.Context) (driver.Conn, error) { return p, nil }
func (p pgstore) Driver() driver.Driver                        { return nil }
func (p pgstore) Prepare(string) (driver.Stmt, error)          { return nil, driver.ErrSkip }
func (p pgstore) Begin() (driver.Tx, error)                    { return nil, driver.ErrSkip }
func (p pgstore) Close() error                                 { return nil }

func (p pgstore) ExecContext(context.Context, string, []driver.NamedValue) (driver.Result, error) {
	return driver.RowsAffected(1), nil
}

func (p pgstore) QueryContext(_ context.Context, query string, _ []driver.NamedValue) (driver.Rows, error) {
	if strings.Contains(query, "COUNT(*)") { // the survey at start
		return &rows{values: []driver.Value{int64(1), int64(1)}}, nil
	}
	data := binary.BigEndian.AppendUint64(nil, uint64(time.Now().Add(time.Hour).UnixMilli()))
	return &rows{values: []driver.Value{append(data, "ada"...), int64(len(data) + 3)}}, nil
}

// rows is one row.
type rows struct{ values []driver.Value }

func (r *rows) Columns() []string { return make([]string, len(r.values)) }
func (r *rows) Close() error      { return nil }

func (r *rows) Next(dst []driver.Value) error {
	if r.values == nil {
		return io.EOF
	}
	copy(dst, r.values)
	r.values = nil
	return nil
}
