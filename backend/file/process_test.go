//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package file

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/internal/testserver"
)

// The test binary is also the other process: with helperEnv set it runs one
// of these and exits.
const helperEnv = "SESSION_FILE_HELPER"

var helpers = map[string]func(s *Store, args []string) error{
	"write":     helpWrite,
	"increment": helpIncrement,
	"hold":      helpHold,
}

func TestMain(m *testing.M) {
	role := os.Getenv(helperEnv)
	if role == "" {
		os.Exit(runInMemory(m))
	}
	s, err := New(os.Args[1], Options{})
	if err == nil {
		err = helpers[role](s, os.Args[2:])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// runInMemory runs the tests with their temporary directories in a file system in
// memory, where there is one: most make a store or two, of 256 directories
// each, and on a disk that was nine tenths of their time. TMPDIR=/var/tmp has them
// on a disk.
func runInMemory(m *testing.M) int {
	if os.Getenv("TMPDIR") == "" {
		if dir, err := os.MkdirTemp("/dev/shm", "session-file-"); err == nil {
			defer os.RemoveAll(dir)
			os.Setenv("TMPDIR", dir)
		}
	}
	testserver.MoreParallel(2) // they wait for records to expire
	return m.Run()
}

// helper starts another process on the directory path.
func helper(t *testing.T, role, path string, args ...string) (*exec.Cmd, *bufio.Reader) {
	t.Helper()
	cmd := exec.Command(os.Args[0], append([]string{path}, args...)...)
	cmd.Env = append(os.Environ(), helperEnv+"="+role)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd, bufio.NewReader(out)
}

// payload is data that proves itself: n numbers, all the same.
func payload(version uint64, n int) []byte {
	b := make([]byte, 0, 8*n)
	for range n {
		b = binary.BigEndian.AppendUint64(b, version)
	}
	return b
}

func checkPayload(rec backend.Record) error {
	for i := 0; i+8 <= len(rec.Data); i += 8 {
		if got := binary.BigEndian.Uint64(rec.Data[i:]); got != rec.Version {
			return fmt.Errorf("version %d has bytes of version %d at %d", rec.Version, got, i)
		}
	}
	return nil
}

// sizeOf makes a record grow and shrink with its versions, through every way
// of storing it.
func sizeOf(version uint64) int { return []int{3, 40, 200, 300, 2500, 30, 5000, 1}[version/5%8] }

// helpWrite updates the record for ever and says each version that was
// acknowledged.
func helpWrite(s *Store, args []string) error {
	ctx := context.Background()
	rec, err := s.Load(ctx, uuid.MustParse(args[0]))
	for ; err == nil; rec.Version++ {
		next := rec.Version + 1
		rec.Data = payload(next, sizeOf(next))
		rec.User = "user" + strconv.FormatUint(next%3, 10)
		rec.Expires = rec.Expires.Add(time.Second)
		if err = s.Update(ctx, rec); err == nil {
			fmt.Println(next)
			err = s.Touch(ctx, rec.ID, rec.Expires.Add(time.Millisecond))
		}
	}
	return err
}

// TestKill: a writer is killed again and again. Nothing that
// it acknowledged is lost, and nothing is half-written.
func TestKill(t *testing.T) {
	rounds := 100
	if testing.Short() {
		rounds = 10
	}
	path := t.TempDir() + "/sessions"
	s := openAt(t, path)
	rec := backend.Record{ID: uuid.Must(uuid.NewV7()), Expires: time.Now().Add(time.Hour), Data: payload(1, sizeOf(1))}
	if err := s.Create(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	acked := uint64(1)
	for round := range rounds {
		cmd, out := helper(t, "write", path, rec.ID.String())
		for range round % 23 { // the kill comes at another moment each time
			line, err := out.ReadString('\n')
			if err != nil {
				t.Fatalf("the writer ended: %v", err)
			}
			acked, _ = strconv.ParseUint(strings.TrimSpace(line), 10, 64)
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		rest, _ := io.ReadAll(out)
		_ = cmd.Wait()
		if i := strings.LastIndexByte(strings.TrimSuffix(string(rest), "\n"), '\n'); len(rest) > 0 && rest[len(rest)-1] == '\n' {
			acked, _ = strconv.ParseUint(strings.TrimSpace(string(rest[i+1:])), 10, 64)
		}
		got, err := s.Load(t.Context(), rec.ID)
		if err != nil {
			t.Fatalf("round %d: Load after kill -9: %v", round, err)
		}
		if got.Version < acked {
			t.Fatalf("round %d: Load has version %d, but %d was acknowledged", round, got.Version, acked)
		}
		if err := checkPayload(got); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		list, err := s.ByUser(t.Context(), got.User)
		if err != nil || (got.User != "" && len(list) != 1) {
			t.Fatalf("round %d: ByUser(%q) = %d records, %v; want 1", round, got.User, len(list), err)
		}
		for _, listed := range list {
			if err := checkPayload(listed); err != nil || listed.Version != got.Version {
				t.Fatalf("round %d: ByUser lists version %d, Load has %d; %v", round, listed.Version, got.Version, err)
			}
		}
	}
	t.Logf("%d kills, %d versions acknowledged, %d times corrupt", rounds, acked, s.Corrupt())
	if _, err := s.Sweep(t.Context(), 10); err != nil {
		t.Fatalf("Sweep: %v", err)
	}
	if left := temporaries(t, path); len(left) > 0 {
		t.Errorf("left over after Sweep: %v", left)
	}
}

// helpIncrement adds one to the record's number n times.
func helpIncrement(s *Store, args []string) error {
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	return increment(s, uuid.MustParse(args[0]), n)
}

func increment(s *Store, id uuid.UUID, n int) error {
	ctx := context.Background()
	for n > 0 {
		rec, err := s.Load(ctx, id)
		if err != nil {
			return err
		}
		rec.Data = binary.BigEndian.AppendUint64(nil, binary.BigEndian.Uint64(rec.Data)+1)
		err = s.Update(ctx, rec)
		switch {
		case err == nil:
			n--
		case !errors.Is(err, backend.ErrConflict) && !errors.Is(err, errLocked): // who has the lock may not have the processor
			return err
		}
	}
	return nil
}

// TestProcessesIncrement counts below the manager: compare-and-swap
// from several goroutines of several processes loses nothing.
func TestProcessesIncrement(t *testing.T) {
	const each, goroutines = 200, 4
	path := t.TempDir() + "/sessions"
	s := openAt(t, path)
	id := uuid.Must(uuid.NewV7())
	rec := backend.Record{ID: id, Expires: time.Now().Add(time.Hour), Data: make([]byte, 8)}
	if err := s.Create(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 2 {
		cmd, _ := helper(t, "increment", path, id.String(), strconv.Itoa(each))
		wg.Go(func() {
			if err := cmd.Wait(); err != nil {
				t.Errorf("the other process: %v", err)
			}
		})
	}
	for range goroutines {
		wg.Go(func() {
			if err := increment(s, id, each); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got, err := s.Load(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	want := uint64((2 + goroutines) * each)
	if n := binary.BigEndian.Uint64(got.Data); n != want || got.Version != want+1 {
		t.Errorf("the number is %d at version %d, want %d and %d", n, got.Version, want, want+1)
	}
}

// helpHold takes the lock of the record's shard and keeps it.
func helpHold(s *Store, args []string) error {
	if err := s.lock(context.Background(), s.shardOf(uuid.MustParse(args[0]))); err != nil {
		return err
	}
	fmt.Println("locked")
	time.Sleep(time.Minute) // until killed
	return nil
}

// TestFrozenProcess stops a process that holds a lock: reads go on, a write
// ends with its context, or by itself, and all is well after the process died.
func TestFrozenProcess(t *testing.T) {
	path := t.TempDir() + "/sessions"
	s := openAt(t, path)
	rec := backend.Record{ID: uuid.Must(uuid.NewV7()), Expires: time.Now().Add(time.Hour), Version: 1}
	if err := s.Create(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	cmd, out := helper(t, "hold", path, rec.ID.String())
	if _, err := out.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Load(t.Context(), rec.ID); err != nil {
		t.Errorf("Load: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.Update(ctx, rec); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Update with a deadline = %v, want the deadline", err)
	}
	var wg sync.WaitGroup
	start := time.Now()
	for range 5 { // those who wait for each other wait no longer
		wg.Go(func() {
			if err := s.Update(t.Context(), rec); !errors.Is(err, errLocked) {
				t.Errorf("Update = %v, want %v", err, errLocked)
			}
		})
	}
	wg.Wait()
	if took := time.Since(start); took > 3*lockWait {
		t.Errorf("Updates took %v, want about %v", took, lockWait)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if err := s.Update(t.Context(), rec); err != nil {
		t.Errorf("Update after the process died: %v", err)
	}
}
