package sqlite

import (
	"context"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/internal/quiet"
)

// Changed implements [backend.Comparer]: one statement, which looks each record up
// by its ID. In a Store of [Open], that is done only for those that it has not found
// as they are before, unless something has been written to the database since.
func (s *Store) Changed(ctx context.Context, known []backend.Version) ([]uuid.UUID, error) {
	sign, shows := s.sign()
	asked := make([]backend.Version, 0, len(known))
	for _, k := range known {
		if !shows || !s.quiet.Has(k, sign) {
			asked = append(asked, k)
		}
	}
	changed, err := s.compare(ctx, asked)
	if err != nil || !shows || len(asked) == 0 {
		return changed, err
	}
	for _, k := range asked {
		if !slices.Contains(changed, k.ID) {
			s.quiet.Note(k, sign)
		}
	}
	return changed, nil
}

// sign returns what the database's files look like, which every transaction changes,
// one of another process too. It reports false if nobody knows where they are.
func (s *Store) sign() (sign quiet.Sign, ok bool) {
	if s.file == "" {
		return sign, false
	}
	for i, name := range []string{s.file, s.file + "-wal"} {
		info, err := os.Stat(name)
		if err != nil {
			return sign, false
		}
		sign.Modified[i], sign.Size[i] = info.ModTime().UnixNano(), info.Size()
	}
	return sign, true
}

// compare is Changed for what has to be looked up.
func (s *Store) compare(ctx context.Context, known []backend.Version) ([]uuid.UUID, error) {
	if len(known) == 0 {
		if s.closed.Load() {
			return nil, backend.ErrClosed
		}
		return nil, ctx.Err()
	}
	ids, list := make([]byte, 0, len(known)*16), make([]byte, 0, len(known)*12)
	for i, k := range known {
		ids = append(ids, k.ID[:]...)
		if i > 0 {
			list = append(list, ',')
		}
		list = strconv.AppendInt(append(list, '('), int64(i), 10)
		list = strconv.AppendUint(append(list, ','), k.Version, 10)
		list = append(list, ')')
	}
	query := strings.Replace(s.stmts.changed, "{known}", string(list), 1)
	var changed []uuid.UUID
	err := s.reading(ctx, "compare sessions", func() (err error) {
		changed, err = s.changed(ctx, query, ids, known)
		return err
	})
	return changed, err
}

func (s *Store) changed(ctx context.Context, query string, ids []byte, known []backend.Version) (changed []uuid.UUID, err error) {
	rows, err := s.read.QueryContext(ctx, query, ids, now())
	if err != nil {
		return nil, err
	}
	defer rows.Close() // for the early returns; Err has what Close could say
	for rows.Next() {
		var i int
		if err := rows.Scan(&i); err != nil {
			return nil, err
		}
		changed = append(changed, known[i].ID)
	}
	return changed, rows.Err()
}
