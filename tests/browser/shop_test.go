package browser

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A shop is a running examples/login.
type shop struct {
	url    string // http://localhost:PORT, or https
	secure bool
	cookie string  // the name of its session cookie
	cert   string  // the file of its certificate, if secure
	log    shopLog // what it has written to stderr
}

// A shopLog is what a process writes while a test reads it.
type shopLog struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements [io.Writer].
func (l *shopLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// String returns what was written so far.
func (l *shopLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// overBoth tells a story over HTTP and over TLS, each with a shop of its own
// that is started with args.
func overBoth(t *testing.T, story func(t *testing.T, s *shop), args ...string) {
	t.Parallel()
	for _, scheme := range []string{"http", "https"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			story(t, startShop(t, scheme == "https", args...))
		})
	}
}

// startShop starts the program on a free port, over TLS if secure, and stops
// it when the test is over, as Ctrl-C does.
func startShop(t *testing.T, secure bool, args ...string) *shop {
	t.Helper()
	s := &shop{secure: secure, cookie: "beegosessionID"}
	args = append([]string{"-addr", "127.0.0.1:0"}, args...)
	if secure {
		s.cookie = "__Host-session"
		cert, key := certificate(t)
		s.cert = cert
		args = append(args, "-cert", cert, "-key", key)
	}
	command := exec.Command(loginPath, args...)
	command.Stderr = &s.log
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(stdout)
	first, err := lines.ReadString('\n') // "Open http://127.0.0.1:43210 and sign in as ..."
	drained := make(chan struct{})
	go func() { io.Copy(io.Discard, lines); close(drained) }()
	t.Cleanup(func() {
		command.Process.Signal(syscall.SIGTERM)
		late := time.AfterFunc(patience, func() { command.Process.Kill() })
		defer late.Stop()
		<-drained
		if err := command.Wait(); err != nil {
			t.Errorf("the shop ended with %v", err)
		}
		if said := s.log.String(); t.Failed() && said != "" {
			t.Logf("the shop said:\n%s", said)
		}
	})
	_, rest, found := strings.Cut(first, "Open ")
	address, _, _ := strings.Cut(rest, " ")
	listening, errURL := url.Parse(address)
	if err != nil || !found || errURL != nil {
		t.Fatalf("the shop said %q (%v) and not where it listens", first, err)
	}
	s.url = listening.Scheme + "://" + net.JoinHostPort("localhost", listening.Port())
	return s
}

// certificate makes a self-signed certificate for localhost and returns its
// files.
func certificate(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: "localhost"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:     []string{"localhost"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, bytes []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: bytes}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("cert.pem", "CERTIFICATE", certificate), write("key.pem", "PRIVATE KEY", secret)
}

// statusWith asks the shop, without a browser, who the holder of token is.
func (s *shop) statusWith(t *testing.T, token string) string {
	t.Helper()
	return s.pageWith(t, "/status", token)
}

// pageWith asks for a page, without a browser, with token.
func (s *shop) pageWith(t *testing.T, path, token string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), "GET", s.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Cookie", s.cookie+"="+token)
	answer, err := trusting.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}
