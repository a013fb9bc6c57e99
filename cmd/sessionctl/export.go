package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/google/uuid"
	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/chisession/session/backend"
)

// movers is how many records are under way at a time: enough that nobody waits
// for the network, and few beside the users of an application.
const movers = 8

// exportChunk is how many records are in memory at a time: one may be large.
const exportChunk = 64

type exportReport struct {
	Exported int `json:"exported"`
	Damaged  int `json:"damaged"` // left out
}

func (a *app) export() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write all sessions, sealed as they are, for import into another store",
		Long: `export writes all live sessions to standard output, or to a new file that is its
owner's alone (--file), for sessionctl import. What is sealed stays sealed, cookies are
not in it, and nobody is logged out by it: whoever holds a session's cookie goes on with
it in the store that it is imported into. Of applications that do not seal (NoSeal) the
values in it are readable.

	sessionctl export --config old.conf | sessionctl import --config new.conf

docs/operations.md says what becomes of sessions that change meanwhile.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if file == "" && onTerminal(a.stdout) {
				return usageError{errors.New("export writes to a pipe or a file: add | sessionctl import …, or --file FILE")}
			}
			return a.with(cmd.Context(), func(s *service) error { return a.runExport(cmd.Context(), s, file) })
		},
	}
	cmd.Flags().StringVar(&file, "file", "", "write to this new file, which only its owner can read, and not to standard output")
	return cmd
}

func (a *app) runExport(ctx context.Context, s *service, file string) error {
	out, done := a.stdout, func() error { return nil }
	if file != "" {
		f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		out, done = f, f.Close
	}
	bar := a.bar(-1, "exporting sessions")
	report, err := a.writeExport(ctx, s, out, bar)
	_ = bar.Finish() // a bar that cannot be drawn is no reason to stop
	if err = errors.Join(err, done()); err != nil {
		return err
	}
	return a.sayMoved(file != "", report, "exported %s%s\n", plural(report.Exported, "session"), besides(report.Damaged, "damaged and left out"))
}

// writeExport writes the records that are live.
func (a *app) writeExport(ctx context.Context, s *service, out io.Writer, bar *progressbar.ProgressBar) (report exportReport, err error) {
	w, err := newExportWriter(out, s.place.Target.String(), a.now())
	if err != nil {
		return report, err
	}
	err = s.place.IDs(ctx, func(ids []uuid.UUID) error {
		for chunk := range slices.Chunk(ids, exportChunk) {
			if err := report.write(ctx, s.store, w, chunk); err != nil {
				return err
			}
			_ = bar.Add(len(chunk)) // a bar that cannot be drawn is no reason to stop
		}
		return nil
	})
	if err != nil {
		return report, errors.Join(err, w.buffer.Flush())
	}
	return report, w.end()
}

// write loads records, some of them side by side, and writes those that are live.
func (r *exportReport) write(ctx context.Context, store backend.Store, w *exportWriter, ids []uuid.UUID) error {
	type found struct {
		rec backend.Record
		err error
	}
	loaded := make([]found, len(ids))
	err := eachOf(ctx, len(ids), func(ctx context.Context, i int) error {
		rec, err := store.Load(ctx, ids[i])
		loaded[i] = found{rec, err}
		return nil
	})
	if err != nil {
		return err
	}
	for i, f := range loaded {
		switch {
		case errors.Is(f.err, backend.ErrCorrupt):
			r.Damaged++
		case errors.Is(f.err, backend.ErrNotFound): // ended or expired
		case f.err != nil:
			return fmt.Errorf("session %v: %w", ids[i], f.err)
		default:
			r.Exported++
			if err := w.write(f.rec); err != nil {
				return err
			}
		}
	}
	return nil
}

// sayMoved prints what was done: where the export itself goes to standard output,
// to standard error.
func (a *app) sayMoved(toStdout bool, v any, format string, args ...any) error {
	if toStdout {
		return a.print(v, format, args...)
	}
	aside := *a
	aside.stdout = a.stderr
	return aside.print(v, format, args...)
}

// besides returns ", n what", or nothing where there is none.
func besides(n int, what string) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(", %d %s", n, what)
}
