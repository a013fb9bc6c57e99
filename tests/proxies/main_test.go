package proxies

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/chisession/session/internal/testserver"
)

// certificate is the one of host, which all proxies show.
var certificate *testserver.Certificate

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "proxies:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	dir, err := testserver.TempDir("certificate")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if certificate, err = testserver.NewCertificate(dir, host); err != nil {
		return 0, err
	}
	return m.Run(), nil
}
