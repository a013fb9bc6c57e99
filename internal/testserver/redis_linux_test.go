//go:build servers

package testserver

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"
)

// TestServerDiesWithParent runs a child test binary that starts a server and
// is killed.
func TestServerDiesWithParent(t *testing.T) {
	if os.Getenv("TESTSERVER_CHILD") != "" {
		r, err := StartRedis(RedisOptions{})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Printf("addr=%s dir=%s\n", r.Addr(), r.Dir())
		select {} // until killed
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestServerDiesWithParent$", "-test.timeout=60s")
	cmd.Env = append(os.Environ(), "TESTSERVER_CHILD=1", RedisEnv+"=")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var addr, dir string
	if _, err := fmt.Fscanf(out, "addr=%s dir=%s\n", &addr, &dir); err != nil {
		t.Errorf("read what the child says: %v", err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) }) // the next run would
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	for deadline := time.Now().Add(time.Minute); ; {
		c, err := redis.Dial("tcp", addr, redis.DialConnectTimeout(time.Second))
		if err != nil {
			return
		}
		_ = c.Close()
		if time.Now().After(deadline) {
			t.Fatalf("the server at %s outlived its parent", addr)
		}
	}
}
