package file

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
)

// The index of users is a directory a user, in the shard of the first byte of
// the SHA-256 of the name and named by all of it, with an empty file for each
// session: a marker. The record says whose it is, and the marker only where
// to look: it is made before the record says so, and removed, under the lock
// of the record's shard, after the record says no more.

// userDir returns the shard and the name of a user's directory.
func (s *Store) userDir(user string) (*shard, string) {
	sum := sha256.Sum256([]byte(user))
	return &s.shards[sum[0]], hex.EncodeToString(sum[:])
}

// isUserDir reports whether name is that of a user's directory.
func isUserDir(name string) bool {
	b, err := hex.DecodeString(name)
	return err == nil && len(b) == sha256.Size && hex.EncodeToString(b) == name
}

// ByUser returns the live records of user, with the first [backend.HeadSize]
// bytes of their Data. It lists one directory, whoever else has sessions, and
// reads the records in it: of one in a file of up to 16 KiB all, of a larger
// one less than 6 KiB, under the lock. The name that counts is that in the
// record, so it is exact.
func (s *Store) ByUser(ctx context.Context, user string) ([]backend.Record, error) {
	if user == "" {
		return nil, nil
	}
	if len(user) > backend.MaxUser {
		return nil, backend.ErrUser
	}
	sh, name := s.userDir(user)
	ids, err := s.markers(ctx, sh, name)
	if err == errMoved {
		if err = s.relink(false, false); err == nil {
			ids, err = s.markers(ctx, sh, name)
		}
	}
	if err == backend.ErrClosed {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("file: list the sessions of a user in %s: %w", s.path, err)
	}
	var recs []backend.Record
	for _, id := range ids {
		rec, err := s.listed(ctx, id, func(of string) bool { return of == user })
		switch {
		case err == nil && rec.User == user:
			recs = append(recs, rec)
		case err == nil || errors.Is(err, backend.ErrNotFound):
			// Left over from a deletion or a crash, or it has just expired.
			if err := s.checkMarker(ctx, user, id); err != nil {
				return nil, err
			}
		default:
			return nil, err
		}
	}
	return recs, nil
}

// markers returns the IDs that a user's directory names.
func (s *Store) markers(ctx context.Context, sh *shard, name string) ([]uuid.UUID, error) {
	var ids []uuid.UUID
	err := s.try(ctx, sh, func(sh *shard) error {
		d, err := sh.dir.user(name)
		if missing(err) {
			return sh.absent()
		}
		if err != nil {
			return err
		}
		defer d.close()
		return d.list(func(names []string) error {
			for _, name := range names {
				if id, ok := parseName(name); ok {
					ids = append(ids, id)
				}
			}
			return ctx.Err()
		})
	})
	return ids, err
}

// addMarker makes the marker of id. The caller holds the lock of the record's
// shard.
func (s *Store) addMarker(user string, id uuid.UUID) error {
	sh, name := s.userDir(user)
	for range 100 {
		d, err := sh.dir.user(name)
		if missing(err) {
			err = s.do(stepMakeDir, func() error { return sh.dir.makeDir(name, s.chmod) })
			if missing(err) {
				return errMoved // the shard's directory is gone
			}
			if err == nil || exists(err) {
				continue
			}
		}
		if err != nil {
			return fmt.Errorf("open the user's directory %s/%s: %w", sh.name, name, err)
		}
		err = s.makeMarker(sh, d, recordName(id))
		if err = cmp.Or(err, d.close()); !missing(err) {
			return err
		}
		// Somebody removed the directory while it was empty.
	}
	return fmt.Errorf("the user's directory %s/%s goes away again and again", sh.name, name)
}

// makeMarker makes the marker name in d, a user's directory in sh. One that
// could not be flushed is removed, so that the next try makes it anew.
func (s *Store) makeMarker(sh *shard, d dir, name string) error {
	made := false
	err := s.do(stepMarker, func() (err error) {
		made, err = d.makeMarker(name, s.chmod)
		return err
	})
	if err == nil && s.opts.Sync {
		err = cmp.Or(s.do(stepFlushDir, d.sync), s.flushDir(sh))
	}
	if err != nil && made {
		_ = d.remove(name) // else it is one that no record answers for
	}
	return err
}

// dropMarker removes the marker of id, and the user's directory with the last
// one. The caller holds the lock of the record's shard. A failure costs
// nobody anything: the record does not say that it is the user's, and the
// next sweep tries again.
func (s *Store) dropMarker(user string, id uuid.UUID) {
	if user == "" {
		return
	}
	sh, name := s.userDir(user)
	s.dropMarkerIn(sh, name, id)
}

func (s *Store) dropMarkerIn(sh *shard, name string, id uuid.UUID) {
	d, err := sh.dir.user(name)
	if err != nil {
		return
	}
	_ = d.remove(recordName(id))
	_ = d.close()
	_ = sh.dir.removeDir(name) // fails, as it should, if it is not empty
}

// checkMarker removes the marker of id from the directory of user, unless
// there is a record that says that it is the user's.
func (s *Store) checkMarker(ctx context.Context, user string, id uuid.UUID) error {
	dirShard, name := s.userDir(user)
	return s.call(ctx, "tidy the user index for", id, false, func(sh *shard) error {
		return s.tidyMarker(ctx, sh, dirShard, name, id)
	})
}

// tidyMarker is checkMarker for the directory name in dirShard; sh is the
// record's shard.
func (s *Store) tidyMarker(ctx context.Context, sh, dirShard *shard, name string, id uuid.UUID) error {
	if err := s.lock(ctx, sh); err != nil {
		return err
	}
	defer s.unlock(sh)
	return s.tidyMarkerLocked(sh, dirShard, name, id)
}

func (s *Store) checkMarkerLocked(sh *shard, user string, id uuid.UUID) {
	if user == "" {
		return
	}
	dirShard, name := s.userDir(user)
	_ = s.tidyMarkerLocked(sh, dirShard, name, id) // else the next sweep does
}

func (s *Store) tidyMarkerLocked(sh, dirShard *shard, name string, id uuid.UUID) error {
	h, err := s.open(sh, id, forReading)
	if err == nil {
		sc := getScratch()
		defer sc.put()
		var e entry
		e, err = s.readLocked(h, id, sc)
		err = cmp.Or(err, h.close())
		if err == nil {
			// An expired record keeps its marker until it is swept.
			if owner, ownName := s.userDir(string(e.user)); owner == dirShard && ownName == name {
				return nil
			}
		}
	}
	if err != nil && !errors.Is(err, backend.ErrNotFound) {
		return err
	}
	s.dropMarkerIn(dirShard, name, id)
	return nil
}
