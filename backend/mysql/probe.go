package mysql

import (
	"bytes"
	"context"
	"database/sql/driver"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"github.com/chisession/session/backend"
)

const (
	maxMediumBlob = 1<<24 - 1

	// packetSpare is what a statement needs of max_allowed_packet besides
	// the data: command, types, lengths, user, and room to grow.
	packetSpare = 4096

	// probeLife is how long the record of Check lives, should it not come to
	// removing it.
	probeLife = 10 * time.Second
)

// errConverted says that what is sent is not what arrives.
var errConverted = errors.New("mysql: connections convert what is sent (character_set_client is not character_set_connection, " +
	"or interpolateParams is set with an East Asian character set): leave both to the DSN's charset")

// errCannotPrepare says that there is no way to run a statement.
var errCannotPrepare = errors.New("mysql: the server prepares no more statements (max_prepared_stmt_count): raise it, or add interpolateParams=true to the DSN")

// everyByte has all bytes, and before a quote and a backslash each one that a
// character set may take for the first half of a character.
func everyByte() []byte {
	var b []byte
	for c := range 256 {
		b = append(b, byte(c))
	}
	for c := 0x80; c < 0x100; c++ {
		b = append(b, byte(c), '\'', byte(c), '\\')
	}
	return b
}

// interpolates reports whether the pool's driver puts parameters into the text
// of a statement by itself: it then takes one as it is.
func (s *Store) interpolates(ctx context.Context) (does bool, err error) {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return false, s.failure("connect", err, 0)
	}
	defer conn.Close() // back to the pool
	err = conn.Raw(func(c any) error {
		q, ok := c.(driver.QueryerContext)
		if !ok {
			return nil
		}
		rows, err := q.QueryContext(ctx, "SELECT ?", []driver.NamedValue{{Ordinal: 1, Value: int64(1)}})
		if err == driver.ErrSkip {
			return nil
		}
		if err != nil {
			return err
		}
		does = true
		return rows.Close()
	})
	if err != nil {
		return false, s.failure("connect", err, 0)
	}
	return does, nil
}

// checkConnection finds out what a connection of the pool can carry, and that
// what it is given arrives: bytes as bytes, and a write without COMMIT.
func (s *Store) checkConnection(ctx context.Context) error {
	sent := everyByte()
	var autocommit bool
	var packet int
	var arrived string
	const query = "SELECT @@autocommit, @@max_allowed_packet, HEX(?)"
	err := s.db.QueryRowContext(ctx, query, sent).Scan(&autocommit, &packet, &arrived)
	switch {
	case err != nil && isServer(err, errSyntax):
		return errConverted // a quote in it ended the parameter
	case err != nil && preparesNoMore(err):
		return errCannotPrepare
	case err != nil:
		return s.failure("check the connection", err, 0)
	}
	if !autocommit {
		return errors.New("mysql: connections have autocommit off, so that no session would be kept: add autocommit=1 to the DSN")
	}
	if got, err := hex.DecodeString(arrived); err != nil || !bytes.Equal(got, sent) {
		return errConverted
	}
	lags, err := lagging(ctx, s.db)
	switch {
	case err != nil:
		return s.failure("check the connection", err, 0)
	case lags:
		return errLags
	}
	packet -= packetSpare
	if s.texts {
		packet /= 2 // each byte may need a backslash
	}
	s.maxData = min(maxMediumBlob, packet)
	return nil
}

// syncWait is the wsrep_sync_wait that sessions need: SELECT, UPDATE and DELETE,
// and INSERT see what other nodes have acknowledged.
const syncWait = "7"

// lagging reports whether the server is a node of Galera that may answer with the
// past: a session that was ended on another node would be live here, for a moment.
func lagging(ctx context.Context, db *sqlx.DB) (bool, error) {
	rows, err := db.QueryContext(ctx, "SHOW SESSION VARIABLES WHERE Variable_name IN ('wsrep_on', 'wsrep_sync_wait')")
	if err != nil {
		return false, err
	}
	defer rows.Close() // Err has what Close could say
	on, waits := false, false
	for rows.Next() {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil {
			return false, err
		}
		switch name {
		case "wsrep_on":
			on = value == "ON"
		case "wsrep_sync_wait":
			bits, _ := strconv.Atoi(value)
			waits = bits&7 == 7
		}
	}
	return on && !waits, rows.Err()
}

// errLags is the answer to a caller's pool on Galera that may read the past.
var errLags = errors.New("mysql: this is a node of Galera, whose connections do not wait for what other nodes have acknowledged: " +
	"a session that was ended there would be live here for a moment: add wsrep_sync_wait=" + syncWait + " to the DSN")

// Check proves that this Store may do all that it will have to: it runs each
// statement on a record that does not exist, and then stores, changes, finds
// and removes one of its own, with a user that nobody else has. New and Open do
// it: without the right to delete, say, everybody could log in, and nobody be
// logged out. An error says what is missing. That the disk is full, or the table
// locked, is no error: sessions can be read meanwhile. It costs twelve round
// trips.
func (s *Store) Check(ctx context.Context) error {
	rec := backend.Record{ID: uuid.New(), Version: 1, Data: everyByte()}
	rec.User = "probe " + rec.ID.String() + string(rec.Data[:200])
	err := s.tryStatements(ctx, rec)
	if err == nil {
		if err = s.tryRecord(ctx, rec); err != nil {
			s.removeProbe(ctx, rec.ID)
		}
	}
	if isServer(err, errLockWait, errDeadlock, errTableFull, errDiskFull) {
		return nil
	}
	return withCure(err)
}

// withCure says in err, if it is about a right, what to do.
func withCure(err error) error {
	switch {
	case isServer(err, errDenied, errColumnDenied):
		return fmt.Errorf("%w: GRANT SELECT, INSERT, UPDATE, DELETE on the table to the account", err)
	case isServer(err, errReadOnly, errReadOnlyTx, errReadOnlyMode):
		return fmt.Errorf("%w: connect to the primary", err)
	}
	return err
}

// removeProbe removes the record of a Check that failed, though its context may
// have ended.
func (s *Store) removeProbe(ctx context.Context, id uuid.UUID) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), probeLife)
	defer cancel()
	_ = s.Delete(ctx, id) // the error before is the one to tell, and it expires
}

// tryStatements runs the statements on a record that does not exist, so that an
// account that may not run them all leaves nothing behind.
func (s *Store) tryStatements(ctx context.Context, rec backend.Record) error {
	err := s.Delete(ctx, rec.ID)
	if err != nil {
		return err
	}
	if _, err = s.Load(ctx, rec.ID); errors.Is(err, backend.ErrNotFound) {
		err = s.Touch(ctx, rec.ID, time.Now())
	}
	if errors.Is(err, backend.ErrNotFound) {
		err = s.Update(ctx, rec)
	}
	if errors.Is(err, backend.ErrNotFound) {
		return nil
	}
	return err
}

// tryRecord does with a record all that is done with one.
func (s *Store) tryRecord(ctx context.Context, rec backend.Record) error {
	var now int64 // by the server's clock, which records expire by
	const query = "SELECT TIMESTAMPDIFF(MICROSECOND, TIMESTAMP'1970-01-01 00:00:00', UTC_TIMESTAMP(6))"
	if err := s.db.QueryRowContext(ctx, query).Scan(&now); err != nil {
		return s.failure("read the server's clock", err, 0)
	}
	rec.Expires = instant(now).Add(probeLife)
	if err := s.Create(ctx, rec); err != nil {
		return err
	}
	got, err := s.Load(ctx, rec.ID)
	if err != nil {
		return err
	}
	if err := s.Update(ctx, rec); err != nil {
		return err
	}
	found, err := s.ByUser(ctx, rec.User)
	if err != nil {
		return err
	}
	if got.User != rec.User || !bytes.Equal(got.Data, rec.Data) || len(found) != 1 || found[0].Version != 2 {
		return fmt.Errorf("mysql: check: a record came back with %d bytes of %d, and %d times by its user: "+
			"a trigger or a proxy changes what is stored", len(got.Data), len(rec.Data), len(found))
	}
	return s.DeleteVersion(ctx, rec.ID, 2)
}
