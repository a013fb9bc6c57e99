package testserver

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
)

// A Host is where a server runs: this machine, on its loopback address (the zero
// value), or a host of a [Lab].
type Host struct {
	ip        string
	namespace string
}

// IP returns the address to listen at and to connect to.
func (h Host) IP() string { return cmp.Or(h.ip, "127.0.0.1") }

// command returns what runs a program there.
func (h Host) command(path string, args []string) (string, []string) {
	if h.namespace == "" {
		return path, args
	}
	return "ip", append([]string{"netns", "exec", h.namespace, path}, args...)
}

// A Lab is a network of hosts, each a network namespace, whose cables can be
// pulled. Each host has two: one to a switch that all of them hang on, and one to
// this machine, where the clients are. So a server can lose the others and keep
// its clients: the failure that undoes writes.
type Lab struct {
	Hosts []Host
	name  string
	root  []string // interfaces on this machine
}

// ErrNoLab says that this machine has no network namespaces for us: it is not
// Linux, or we are not root, or the kernel refuses.
var ErrNoLab = errors.New("testserver: no network namespaces here")

// labs numbers the labs of this process: each has a network of its own.
var labs atomic.Int32

// StartLab makes a network of n hosts, at most 9.
func StartLab(n int) (*Lab, error) {
	if runtime.GOOS != "linux" || os.Getuid() != 0 {
		return nil, fmt.Errorf("%w: it takes Linux and root", ErrNoLab)
	}
	// The addresses are private ones that lead nowhere but into the namespaces.
	id := os.Getpid()%250 + 1
	net := int(labs.Add(1))%250 + 1
	l := &Lab{name: fmt.Sprintf("lab%d-%d", os.Getpid(), net)}
	if err := ip("netns", "add", l.name); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoLab, err)
	}
	err := errors.Join(
		ip("-n", l.name, "link", "add", "switch", "type", "bridge"),
		ip("-n", l.name, "link", "set", "switch", "up"))
	for i := range n {
		if err != nil {
			break
		}
		err = l.addHost(i+1, id, net)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %w", ErrNoLab, err), l.Stop())
	}
	return l, nil
}

// addHost makes host number i, with its two cables.
func (l *Lab) addHost(i, id, net int) error {
	n := strconv.Itoa(i)
	h := Host{ip: fmt.Sprintf("10.%d.%d.%d", id, net, i), namespace: l.name + "-" + n}
	ours := fmt.Sprintf("c%d-%d-%d", os.Getpid(), net, i)
	us := fmt.Sprintf("10.%d.%d.254", id, net)
	l.Hosts, l.root = append(l.Hosts, h), append(l.root, ours)
	for _, step := range [][]string{
		{"netns", "add", h.namespace},
		{"-n", h.namespace, "link", "set", "lo", "up"},
		// To the switch.
		{"-n", l.name, "link", "add", "p" + n, "type", "veth", "peer", "name", "peers", "netns", h.namespace},
		{"-n", l.name, "link", "set", "p" + n, "master", "switch", "up"},
		{"-n", h.namespace, "addr", "add", h.ip + "/24", "dev", "peers"},
		{"-n", h.namespace, "link", "set", "peers", "up"},
		// To this machine.
		{"link", "add", ours, "type", "veth", "peer", "name", "clients", "netns", h.namespace},
		{"addr", "add", us + "/32", "dev", ours},
		{"link", "set", ours, "up"},
		{"-n", h.namespace, "link", "set", "clients", "up"},
		{"route", "add", h.ip + "/32", "dev", ours, "src", us},
		{"-n", h.namespace, "route", "add", us + "/32", "dev", "clients", "src", h.ip},
	} {
		if err := ip(step...); err != nil {
			return err
		}
	}
	return nil
}

// Cut pulls the cable of Hosts[i] to the switch: the other hosts cannot reach it,
// its clients can.
func (l *Lab) Cut(i int) error { return ip("-n", l.name, "link", "set", "p"+strconv.Itoa(i+1), "down") }

// Heal puts it back.
func (l *Lab) Heal(i int) error { return ip("-n", l.name, "link", "set", "p"+strconv.Itoa(i+1), "up") }

// Stop removes the network. The servers in it must have been stopped.
func (l *Lab) Stop() error {
	var errs []error
	for _, link := range l.root {
		_ = ip("link", "del", link) // with its namespace it is gone anyway
	}
	for _, h := range l.Hosts {
		errs = append(errs, ip("netns", "del", h.namespace))
	}
	return errors.Join(append(errs, ip("netns", "del", l.name))...)
}

func ip(args ...string) error {
	out, err := exec.Command("ip", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
