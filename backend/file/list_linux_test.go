package file

import (
	"fmt"
	"os"
	"runtime"
	"testing"

	"github.com/chisession/session/backend"
)

// bytesRead returns how many bytes f reads from files, as the kernel counts.
func bytesRead(t *testing.T, f func()) int {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	count := func() (n int) {
		io, err := os.ReadFile("/proc/thread-self/io")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Sscanf(string(io), "rchar: %d", &n); err != nil {
			t.Fatalf("%v: %s", err, io)
		}
		return n
	}
	start := count()
	own := count() - start // what a count itself reads
	begin := count()
	f()
	return count() - begin - own
}

// TestByUserReadsHeads lists 100 sessions of 1 MB: of each it reads a few
// thousand bytes, and makes no more than a head of each.
func TestByUserReadsHeads(t *testing.T) {
	const sessions, size = 100, 1 << 20
	s := openAt(t, t.TempDir()+"/sessions")
	rec := newRecord(size / 8)
	rec.User = "ann"
	for range sessions {
		rec.ID = newRecord(0).ID
		mustCreate(t, s, rec)
	}
	var list []backend.Record
	var err error
	n := bytesRead(t, func() { list, err = s.ByUser(t.Context(), "ann") })
	if err != nil || len(list) != sessions {
		t.Fatalf("ByUser = %d records, %v", len(list), err)
	}
	for _, rec := range list {
		if len(rec.Data) != backend.HeadSize || cap(rec.Data) > 2*backend.HeadSize {
			t.Fatalf("ByUser has %d bytes of data in %d, want %d", len(rec.Data), cap(rec.Data), backend.HeadSize)
		}
	}
	t.Logf("%d sessions of %d bytes: %d bytes read", sessions, size, n)
	const most = sessions * 6 << 10
	if n > most {
		t.Errorf("ByUser reads %d bytes of %d sessions, want at most %d", n, sessions, most)
	}
	n = bytesRead(t, func() { list, err = s.List(t.Context(), "", sessions) })
	if err != nil || len(list) != sessions || n > most {
		t.Errorf("List = %d records, %v, and reads %d bytes; want %d, and at most %d bytes", len(list), err, n, sessions, most)
	}
}
