package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/internal/record"
)

// How much of an export is in memory at a time, at most: so many records, or with
// the last of them so many bytes.
const (
	importBatch = 1000
	importBytes = 16 << 20
)

type importReport struct {
	Created   int `json:"created"`
	Unchanged int `json:"unchanged"` // were there already
	Replaced  int `json:"replaced"`  // by a mirror
	Kept      int `json:"kept"`      // differ, and stay as they were there
	Expired   int `json:"expired"`   // meanwhile
	Ended     int `json:"ended"`     // by a mirror, as they are not in the export
	Refused   int `json:"refused"`   // that the store cannot keep
}

func (r *importReport) note(o outcome) {
	*map[outcome]*int{created: &r.Created, unchanged: &r.Unchanged, replaced: &r.Replaced, kept: &r.Kept, expired: &r.Expired}[o]++
}

func (a *app) importCmd() *cobra.Command {
	var file string
	var mirror bool
	cmd := &cobra.Command{
		Use:   "import",
		Short: "Store what export has written: nobody is logged out by the move",
		Long: `import reads what sessionctl export has written, from standard input or a file, and
stores the sessions with their exact expiries. They keep their IDs and their tokens.

It may run again, after an interruption or on top of itself: what is there already is left
as it is, but that it may live longer. A session that differs from the one in the export stays
as it is in the store, so that nothing is undone that an application has written there.

With --mirror the store becomes what the export is: what differs is replaced, and what was
created before the export and is not in it is ended. This is for the last of several passes,
with the application stopped; then no logout is undone either.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			in, done, err := a.openExport(file)
			if err != nil {
				return err
			}
			err = a.with(cmd.Context(), func(s *service) error { return a.runImport(cmd.Context(), s, in, mirror) })
			return errors.Join(err, done())
		},
	}
	cmd.Flags().StringVar(&file, "file", "", "read this file, and not standard input")
	cmd.Flags().BoolVar(&mirror, "mirror", false, "replace what differs, and end what the export lacks")
	return cmd
}

func (a *app) openExport(file string) (in io.Reader, done func() error, err error) {
	if file == "" {
		if a.stdin == nil {
			a.stdin = os.Stdin
		}
		return a.stdin, func() error { return nil }, nil
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, nil, err
	}
	return f, f.Close, nil
}

func (a *app) runImport(ctx context.Context, s *service, in io.Reader, mirror bool) error {
	r, err := newExportReader(in)
	if err != nil {
		return err
	}
	im := &intake{app: a, importer: importer{store: s.store, mirror: mirror, now: a.now}, bar: a.bar(-1, "importing sessions")}
	err = im.all(ctx, r)
	if err == nil && mirror {
		err = im.endOthers(ctx, s, r.header.At)
	}
	_ = im.bar.Finish() // a bar that cannot be drawn is no reason to stop
	n := im.report
	said := a.print(n, "imported %s: %d new, %d there already%s%s%s%s%s\n", plural(r.read, "session"), n.Created, n.Unchanged,
		besides(n.Replaced, "replaced"), besides(n.Kept, "others kept"), besides(n.Expired, "expired"), besides(n.Ended, "ended"), besides(n.Refused, "refused"))
	if err == nil && n.Refused > 0 {
		err = fmt.Errorf("%s could not be stored", plural(n.Refused, "session"))
	}
	return errors.Join(err, said)
}

// An intake is one import.
type intake struct {
	app *app
	importer
	bar *progressbar.ProgressBar

	mu     sync.Mutex // guards what follows
	report importReport
	seen   map[uuid.UUID]struct{} // by a mirror
}

// all stores the records of an export.
func (im *intake) all(ctx context.Context, r *exportReader) error {
	im.seen = map[uuid.UUID]struct{}{}
	for {
		var batch []backend.Record
		var end error
		for size := 0; len(batch) < importBatch && size < importBytes; {
			rec, err := r.next()
			if end = err; err != nil {
				break
			}
			batch, size = append(batch, rec), size+len(rec.Data)
		}
		err := eachOf(ctx, len(batch), func(ctx context.Context, i int) error { return im.one(ctx, batch[i]) })
		_ = im.bar.Add(len(batch)) // a bar that cannot be drawn is no reason to stop
		switch {
		case err != nil:
			return err
		case end == io.EOF:
			return nil
		case end != nil:
			return end
		}
	}
}

func (im *intake) one(ctx context.Context, rec backend.Record) error {
	done, err := im.put(ctx, rec)
	im.mu.Lock()
	defer im.mu.Unlock()
	if im.mirror {
		im.seen[rec.ID] = struct{}{}
	}
	switch {
	case err == nil:
		im.report.note(done)
	case errors.Is(err, backend.ErrTooLarge), errors.Is(err, backend.ErrUser):
		im.report.Refused++
		im.app.complain(fmt.Errorf("session %v is not imported: %w", rec.ID, err))
	default:
		return fmt.Errorf("session %v: %w", rec.ID, err)
	}
	return nil
}

var errEmptyMirror = errors.New("the export has no session, and a mirror of it would end all: if that is meant, remove them otherwise")

// endOthers ends the sessions that were created before the export began and are
// not in it.
func (im *intake) endOthers(ctx context.Context, s *service, began time.Time) error {
	if len(im.seen) == 0 {
		return errEmptyMirror
	}
	return s.place.IDs(ctx, func(ids []uuid.UUID) error {
		for _, id := range ids {
			if _, known := im.seen[id]; known || !record.CreatedAt(id).Before(began) {
				continue
			}
			if err := s.store.Delete(ctx, id); err != nil {
				return fmt.Errorf("end session %v: %w", id, err)
			}
			im.report.Ended++
		}
		return ctx.Err()
	})
}

// eachOf calls fn with each index below n, [movers] of them side by side. After
// an error it calls no more, and returns it.
func eachOf(ctx context.Context, n int, fn func(ctx context.Context, i int) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	todo := make(chan int)
	var all sync.WaitGroup
	for range min(movers, n) {
		all.Go(func() {
			for i := range todo {
				if err := fn(ctx, i); err != nil {
					stop(err)
				}
			}
		})
	}
	for i := range n {
		select {
		case todo <- i:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(todo)
	all.Wait()
	return context.Cause(ctx)
}
