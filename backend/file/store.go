package file

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
)

// Load reads the record of id: open, one read, close, and no lock. Its cost
// grows with the record, and not with what happened to it before. A record
// that is damaged beyond reading, or something else in its place, is
// [backend.ErrCorrupt], an ErrNotFound, and counted (see [Store.Corrupt]); that the
// directory is gone or cannot be read is another error.
func (s *Store) Load(ctx context.Context, id uuid.UUID) (backend.Record, error) {
	var rec backend.Record
	err := s.call(ctx, "load", id, false, func(sh *shard) error {
		sc := getScratch()
		defer sc.put()
		e, err := s.peek(ctx, sh, id, sc)
		if err != nil {
			return err
		}
		if e.expired() {
			return backend.ErrNotFound
		}
		rec = e.record(id)
		return nil
	})
	return rec, err
}

// Create stores rec in a new file: open, one write, close. If rec.User is
// not empty, it makes an entry in the index of users first, which for a user
// without a session costs two files more. An expired record that was not
// swept yet is [backend.ErrExists]; Data of more than 64 MiB is
// [backend.ErrTooLarge].
func (s *Store) Create(ctx context.Context, rec backend.Record) error {
	if err := check(rec); err != nil {
		return err
	}
	return s.call(ctx, "create", rec.ID, true, func(sh *shard) error {
		if rec.User == "" {
			return s.create(sh, rec)
		}
		// The lock keeps those who tidy the index from taking the entry
		// away before there is a record.
		if err := s.lock(ctx, sh); err != nil {
			return err
		}
		defer s.unlock(sh)
		if err := s.addMarker(rec.User, rec.ID); err != nil {
			return err
		}
		err := s.create(sh, rec)
		if err != nil {
			s.checkMarkerLocked(sh, rec.User, rec.ID)
		}
		return err
	})
}

// Update writes rec into the file's other slot, under the lock. When rec has
// outgrown the slot, the file is replaced (temporary file, rename) by one
// with a quarter more room than is needed.
func (s *Store) Update(ctx context.Context, rec backend.Record) error {
	if err := check(rec); err != nil {
		return err
	}
	return s.call(ctx, "update", rec.ID, true, func(sh *shard) error {
		return s.locked(ctx, sh, rec.ID, func(h handle, e entry) error {
			if e.version != rec.Version {
				return backend.ErrConflict
			}
			return s.update(sh, h, e, rec)
		})
	})
}

// Touch writes eight bytes, under the lock, or none.
func (s *Store) Touch(ctx context.Context, id uuid.UUID, expires time.Time) error {
	return s.call(ctx, "touch", id, false, func(sh *shard) error {
		return s.locked(ctx, sh, id, func(h handle, e entry) error {
			if ms := millis(expires); ms > e.expires {
				return s.writeExpires(h, ms)
			}
			return nil
		})
	})
}

// Delete removes the file of id, under the lock, without reading it. With
// [Options.Sync], that it is gone is on the disk when Delete returns nil.
func (s *Store) Delete(ctx context.Context, id uuid.UUID) error {
	return s.call(ctx, "delete", id, false, func(sh *shard) error {
		if err := s.lock(ctx, sh); err != nil {
			return err
		}
		defer s.unlock(sh)
		err := s.remove(sh, recordName(id))
		switch {
		case missing(err):
			err = sh.absent()
		case noRecord(err):
			err = nil
		}
		if err != nil {
			return err
		}
		s.doubts.forget(id)
		// Also if there was nothing: whoever removed it may not have got here.
		return s.flushDir(sh)
	})
}

// DeleteVersion removes the file of id if its version is version.
func (s *Store) DeleteVersion(ctx context.Context, id uuid.UUID, version uint64) error {
	return s.call(ctx, "delete", id, false, func(sh *shard) error {
		if err := s.lock(ctx, sh); err != nil {
			return err
		}
		defer s.unlock(sh)
		sc := getScratch()
		defer sc.put()
		h, e, err := s.openLive(sh, id, forReading, sc)
		if errors.Is(err, backend.ErrNotFound) {
			return cmp.Or(s.flushDir(sh), err)
		}
		if err != nil {
			return err
		}
		if err := h.close(); err != nil {
			return err
		}
		if e.version != version {
			return cmp.Or(s.clearClaim(sh, id, e, version), backend.ErrConflict)
		}
		if err := s.remove(sh, recordName(id)); err != nil {
			return err
		}
		s.doubts.forget(id)
		s.dropMarker(string(e.user), id)
		return s.flushDir(sh)
	})
}

// check refuses what could not be stored as it is.
func check(rec backend.Record) error {
	if len(rec.User) > backend.MaxUser {
		return backend.ErrUser
	}
	if len(rec.Data) > maxData {
		return backend.ErrTooLarge
	}
	return nil
}

// call runs fn with the shard of id, again if its directory was replaced
// meanwhile, and says in an error what was attempted. With create, missing
// directories are made anew.
func (s *Store) call(ctx context.Context, what string, id uuid.UUID, create bool, fn func(*shard) error) error {
	sh := s.shardOf(id)
	err := s.try(ctx, sh, fn)
	if err == errMoved {
		if err = s.relink(create, create); err == nil {
			err = s.try(ctx, sh, fn)
		}
	}
	switch err {
	case nil, backend.ErrNotFound, backend.ErrCorrupt, backend.ErrConflict, backend.ErrExists, backend.ErrClosed:
		return err // as they are: no news for anybody's log
	}
	return fmt.Errorf("file: %s %s in %s: %w", what, id, s.path, err)
}

func (s *Store) try(ctx context.Context, sh *shard, fn func(*shard) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	return fn(sh)
}

// locked opens the file of id for writing, under the shard's lock, and calls
// fn with its live record.
func (s *Store) locked(ctx context.Context, sh *shard, id uuid.UUID, fn func(handle, entry) error) error {
	if err := s.lock(ctx, sh); err != nil {
		return err
	}
	defer s.unlock(sh)
	sc := getScratch()
	defer sc.put()
	if err := s.settleLocked(sh, id); err != nil {
		return err
	}
	h, e, err := s.openLive(sh, id, forWriting, sc)
	if err != nil {
		return err
	}
	err = fn(h, e)
	closeErr := s.close(h)
	if err == nil && closeErr != nil {
		s.doubts.add(id, doubt{})
	}
	return cmp.Or(err, closeErr)
}

// openLive opens the file of id and reads its record, which must be live.
// The caller has the lock, and closes the handle if there is no error.
func (s *Store) openLive(sh *shard, id uuid.UUID, flags int, sc *scratch) (handle, entry, error) {
	h, err := s.open(sh, id, flags)
	if err != nil {
		return h, entry{}, err
	}
	e, err := s.readLocked(h, id, sc)
	if err == nil && e.expired() {
		err = backend.ErrNotFound
	}
	if err != nil {
		_ = h.close() // nothing was written
	}
	return h, e, err
}

// open opens the file of id. What is no file is no record.
func (s *Store) open(sh *shard, id uuid.UUID, flags int) (handle, error) {
	h, err := sh.dir.open(recordName(id), flags)
	switch {
	case err == nil:
		return h, nil
	case missing(err):
		if err := sh.absent(); err != nil {
			return h, err
		}
		return h, cmp.Or(s.settleDir(sh), backend.ErrNotFound)
	case noRecord(err):
		s.corrupt.Add(1)
		return h, backend.ErrCorrupt
	}
	return h, err
}

// create writes the file of a new record.
func (s *Store) create(sh *shard, rec backend.Record) error {
	name := recordName(rec.ID)
	h, err := sh.dir.open(name, exclusive)
	switch {
	case exists(err), noRecord(err):
		return backend.ErrExists
	case missing(err):
		return errMoved
	case err != nil:
		return err
	}
	sc := getScratch()
	defer sc.put()
	ms := millis(rec.Expires)
	err = s.fill(h, sc.file(rec, 1, ms))
	if err == nil {
		err = s.flushDir(sh)
	}
	if err != nil {
		return errors.Join(err, s.undo(sh, rec.ID, ms))
	}
	return nil
}

// undo takes back a Create that failed, so that nobody finds a record that
// may not be on the disk. If even that fails, whoever finds it is told so.
func (s *Store) undo(sh *shard, id uuid.UUID, ms int64) error {
	err := s.remove(sh, recordName(id))
	if err != nil && !missing(err) {
		s.doubts.add(id, doubt{version: 1, expires: ms})
	}
	return err
}

// fill writes a new file and closes it.
func (s *Store) fill(h handle, content []byte) error {
	err := s.write(h, content, 0)
	if err == nil && s.chmod {
		err = s.chmod0600(h)
	}
	if err == nil {
		err = s.flush(h)
	}
	return cmp.Or(err, s.close(h))
}

// update stores rec as the version after e. The caller has the lock.
func (s *Store) update(sh *shard, h handle, e entry, rec backend.Record) error {
	if e.version == math.MaxUint64 {
		return errors.New("version overflow")
	}
	moved := rec.User != string(e.user)
	if moved && rec.User != "" {
		if err := s.addMarker(rec.User, rec.ID); err != nil {
			return err
		}
	}
	ms := millis(rec.Expires)
	if !rec.Shorten {
		ms = max(ms, e.expires)
	}
	err := s.store(sh, h, e, rec, ms)
	s.show(sh, rec)
	if !moved {
		return err
	}
	if err == nil {
		s.dropMarker(string(e.user), rec.ID)
	} else {
		s.checkMarkerLocked(sh, rec.User, rec.ID)
	}
	return err
}

// store writes the version after e.
func (s *Store) store(sh *shard, h handle, e entry, rec backend.Record, ms int64) error {
	if !fits(frameSize(rec.User, rec.Data), e.head.capacity) {
		return s.replace(sh, rec, e.version+1, ms)
	}
	sc := getScratch()
	defer sc.put()
	frame := sc.frame(e.head.sum, rec, e.version+1, ms)
	if err := s.writeSlot(h, e.head, 1-e.slot, frame); err != nil {
		return err // the slot is torn, and the other one holds the record
	}
	err := s.complete(h, e.head, ms)
	if err != nil {
		s.doubts.add(rec.ID, doubt{version: e.version + 1, expires: ms})
	}
	return err
}

// complete does what is left to do of a write after its slot was filled.
func (s *Store) complete(h handle, hd head, ms int64) error {
	if !hd.expiresOK || ms < hd.expires {
		if err := s.writeExpires(h, ms); err != nil {
			return err
		}
	}
	return s.flush(h)
}

// replace puts a new file in the place of the old one.
func (s *Store) replace(sh *shard, rec backend.Record, version uint64, ms int64) error {
	temp := tempName(rec.ID)
	h, err := sh.dir.open(temp, exclusive)
	if exists(err) { // of a process that died; we have the lock
		if err := s.remove(sh, temp); err != nil {
			return err
		}
		h, err = sh.dir.open(temp, exclusive)
	}
	if missing(err) {
		return errMoved
	}
	if err != nil {
		return err
	}
	sc := getScratch()
	defer sc.put()
	err = s.fill(h, sc.file(rec, version, ms))
	if err == nil {
		err = s.rename(sh, temp, recordName(rec.ID))
	}
	if err != nil {
		return errors.Join(err, s.remove(sh, temp))
	}
	// The version before is gone, so this one cannot be taken back.
	if err = s.flushDir(sh); err != nil {
		s.doubts.add(rec.ID, doubt{version: version, expires: ms})
	}
	return err
}
