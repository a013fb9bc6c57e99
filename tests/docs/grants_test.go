package docs

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/mysql"
	"github.com/chisession/session/backend/redis"
	"github.com/chisession/session/internal/testserver"
)

// fenced returns the block of a page that begins with start.
func fenced(t *testing.T, page, start string) string {
	t.Helper()
	_, rest, ok := strings.Cut(pages(t)[page], "\n"+start)
	block, _, ok2 := strings.Cut(rest, "\n```")
	if !ok || !ok2 {
		t.Fatalf("%s has no block that begins with %s", page, start)
	}
	return start + block
}

// TestRedisACL runs a store as the account that docs/backends/redis.md makes.
func TestRedisACL(t *testing.T) {
	server, err := testserver.StartRedis(testserver.RedisOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	}()
	words := strings.Fields(fenced(t, "docs/backends/redis.md", "ACL SETUSER"))
	args := make([]any, len(words)-1)
	for i, word := range words[1:] {
		args[i] = word
	}
	defer server.Do("ACL", "DELUSER", "shop") // matters for a server that REDIS_URL names
	if _, err := server.Do(words[0], args...); err != nil {
		t.Fatal(err)
	}
	store, err := redis.Open("redis://shop:secret@" + server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	useAll(t, store)
}

// TestMySQLGrants runs a store as the account that docs/backends/mysql.md
// makes.
func TestMySQLGrants(t *testing.T) {
	server, err := testserver.StartMariaDB(testserver.MariaDBOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	}()
	db, err := server.CreateDatabase()
	if err != nil {
		t.Fatal(err)
	}
	defer server.DropDatabase(db) // matters for a server that MYSQL_DSN names
	defer server.Exec("DROP USER 'shop'@'%'")
	grants := strings.NewReplacer("…", "secret", "shop.", db+".").Replace(fenced(t, "docs/backends/mysql.md", "CREATE USER"))
	statements := mysql.Schema(db + ".sessions")
	statements = append(statements, strings.Split(strings.TrimSuffix(strings.TrimSpace(grants), ";"), ";")...)
	for _, statement := range statements {
		if err := server.Exec(statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	store, err := mysql.Open("shop:secret@tcp(" + server.Addr() + ")/" + db)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	useAll(t, store)
}

// useAll calls every method of a store, so that a right that is missing shows.
func useAll(t *testing.T, store backend.Store) {
	t.Helper()
	ctx := t.Context()
	id := uuid.Must(uuid.NewV7())
	rec := backend.Record{ID: id, User: "ada", Data: []byte("data"), Expires: time.Now().Add(time.Hour).Truncate(time.Millisecond)}
	check := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	check("Create", store.Create(ctx, rec))
	rec, err := store.Load(ctx, id)
	check("Load", err)
	check("Touch", store.Touch(ctx, id, time.Now().Add(2*time.Hour)))
	check("Update", store.Update(ctx, rec))
	rec.Version, rec.Shorten = rec.Version+1, true
	check("Update", store.Update(ctx, rec))
	found, err := backend.AbilitiesOf(store).UserIndex.ByUser(ctx, "ada")
	check("ByUser", err)
	if len(found) != 1 {
		t.Errorf("ByUser: %d records, want 1", len(found))
	}
	if counter := backend.AbilitiesOf(store).Counter; counter != nil {
		_, err := counter.Count(ctx)
		check("Count", err)
	}
	if sweeper := backend.AbilitiesOf(store).Sweeper; sweeper != nil {
		_, err := sweeper.Sweep(ctx, 10)
		check("Sweep", err)
	}
	err = backend.AbilitiesOf(store).VersionedDeleter.DeleteVersion(ctx, id, 99)
	if !errors.Is(err, backend.ErrConflict) {
		t.Errorf("DeleteVersion of another version: %v, want ErrConflict", err)
	}
	check("Delete", store.Delete(ctx, id))
	found, err = backend.AbilitiesOf(store).UserIndex.ByUser(ctx, "ada")
	check("ByUser", err)
	if len(found) != 0 {
		t.Errorf("ByUser after Delete: %d records, want none", len(found))
	}
}
