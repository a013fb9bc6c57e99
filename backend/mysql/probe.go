package mysql

import (
	"context"
	"encoding/hex"
	"errors"
)

const (
	maxMediumBlob = 1<<24 - 1

	// packetSpare is what a statement needs of max_allowed_packet besides
	// the data: command, types, lengths, user, and room to grow.
	packetSpare = 1024
)

// checkConnection finds out what a connection of the pool can carry, and that
// what it is given arrives: bytes as bytes, and a write without COMMIT.
func (s *Store) checkConnection(ctx context.Context) error {
	const op = "check the connection"
	bytes := make([]byte, 256)
	for i := range bytes {
		bytes[i] = byte(i)
	}
	stmt, err := s.db.PreparexContext(ctx, "SELECT @@autocommit, @@max_allowed_packet, HEX(?)")
	if err != nil {
		return s.failure(op, err, 0)
	}
	defer stmt.Close()
	var autocommit bool
	var packet int
	var arrived string
	if err := stmt.QueryRowContext(ctx, bytes).Scan(&autocommit, &packet, &arrived); err != nil {
		return s.failure(op, err, 0)
	}
	if !autocommit {
		return errors.New("mysql: connections have autocommit off, so that no session would be kept: add autocommit=1 to the DSN")
	}
	if got, err := hex.DecodeString(arrived); err != nil || string(got) != string(bytes) {
		return errors.New("mysql: connections convert what is sent (character_set_client is not character_set_connection): leave both to the DSN's charset")
	}
	s.maxData = min(maxMediumBlob, packet-packetSpare)
	return nil
}
