package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sys/unix"

	"github.com/chisession/session/backend"
)

// TestProgressBar: gc draws a bar on a terminal, and takes it away again.
func TestProgressBar(t *testing.T) {
	s := newSite(t, "file", filepath.Join(t.TempDir(), "s"), "")
	for range 3 * sweepBatch {
		id := uuid.Must(uuid.NewV7())
		if err := s.store.Create(t.Context(), backend.Record{ID: id, Expires: time.Now().Add(-time.Minute)}); err != nil {
			t.Fatal(err)
		}
	}
	master, slave := terminal(t)
	drawn := make(chan []byte)
	go func() {
		all, _ := io.ReadAll(master) // it ends with an error (EIO) when the other side is closed
		drawn <- all
	}()
	var stdout bytes.Buffer
	a := &app{stdout: &stdout, stderr: slave, now: time.Now}
	code := a.run(t.Context(), s.args("gc"))
	if err := slave.Close(); err != nil {
		t.Fatal(err)
	}
	bar := <-drawn
	if code != exitOK || !bytes.Contains(stdout.Bytes(), []byte("removed 1500 expired sessions")) {
		t.Errorf("gc: code %d, %q", code, stdout.String())
	}
	if !bytes.Contains(bar, []byte("removing expired sessions")) {
		t.Errorf("the terminal shows no bar: %q", bar)
	}
}

// terminal returns the two ends of a pseudo-terminal.
func terminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err = os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return master, slave
}
