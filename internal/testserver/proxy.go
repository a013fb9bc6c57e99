package testserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
)

const proxyStarts = 3 // a port found free may be taken by the time it is used

// A ProxySite is one address that a proxy listens on, and what it does there.
type ProxySite struct {
	Name   string // for Addr
	Listen string // what follows the address, such as "ssl http2" (nginx) or "ssl crt FILE" (haproxy)
	Config string // lines of the server block (nginx) or of the frontend section (haproxy)
}

// A Proxy is a private nginx or haproxy.
type Proxy struct {
	*Process
	addrs map[string]string
}

// Addr returns host:port of the site of that name.
func (p *Proxy) Addr(site string) string { return p.addrs[site] }

// startProxy gives each site a free loopback port and starts the program with
// the configuration that write makes of them. The program also answers the request
// ask on the unix socket of that path, so that nobody else's server is taken for it.
func startProxy(name, path, ask string, sites []ProxySite, args func(config string) []string, write func(dir, socket string, addrs map[string]string) string) (*Proxy, error) {
	var errs error
	for range proxyStarts {
		p, err := tryProxy(name, path, ask, sites, args, write)
		if err == nil {
			return p, nil
		}
		errs = errors.Join(errs, err)
	}
	return nil, errs
}

func tryProxy(name, path, ask string, sites []ProxySite, args func(config string) []string, write func(dir, socket string, addrs map[string]string) string) (*Proxy, error) {
	addrs := map[string]string{}
	for _, site := range sites {
		port, err := FreePort()
		if err != nil {
			return nil, err
		}
		addrs[site.Name] = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	}
	dir, err := TempDir(name)
	if err != nil {
		return nil, err
	}
	config, socket := filepath.Join(dir, "conf"), filepath.Join(dir, "s")
	if err := os.WriteFile(config, []byte(write(dir, socket, addrs)), 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("testserver: configure %s: %w", name, err), os.RemoveAll(dir))
	}
	process, err := Start(Spec{
		Name: name, Path: path, Args: args(config), Dir: dir,
		Ready: func(ctx context.Context) error { return responds(ctx, socket, ask) },
	})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return &Proxy{Process: process, addrs: addrs}, nil
}

// responds sends a request to a unix socket and waits for the beginning of a
// response: a program that listens there may still be about to listen elsewhere.
func responds(ctx context.Context, socket, ask string) error {
	c, err := new(net.Dialer).DialContext(ctx, "unix", socket)
	if err != nil {
		return err
	}
	deadline, _ := ctx.Deadline() // none is none for the connection, too
	if err = c.SetDeadline(deadline); err == nil {
		_, err = io.WriteString(c, ask)
	}
	if err == nil {
		_, err = c.Read(make([]byte, 1))
	}
	return errors.Join(err, c.Close())
}
