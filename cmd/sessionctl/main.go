// Command sessionctl operates the sessions that an application keeps with
// package session: it makes the table, counts, lists, ends and collects
// sessions, and looks for what is wrong with the place they are kept in.
//
//	sessionctl doctor --config app.conf
//
// docs/operations.md shows every command. It never prints a token, a value or
// a password.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
