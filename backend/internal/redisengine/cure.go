package redisengine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
)

// Cured adds to an error of the first call to a server what to do about it, if its
// text does not say. secure says that the connection is made with TLS.
func Cured(err error, secure bool) error {
	if cure := cure(err, secure); cure != "" {
		return fmt.Errorf("%w (%s)", err, cure)
	}
	return err
}

func cure(err error, secure bool) string {
	text := err.Error()
	switch {
	case strings.Contains(text, "NOPERM"):
		if _, rest, ok := strings.Cut(text, "permissions to run the '"); ok {
			command, _, _ := strings.Cut(rest, "'")
			return "ACL SETUSER <user> +" + command
		}
	case strings.Contains(text, "NOAUTH"):
		return "the save path needs a password, or user:password"
	case strings.Contains(text, "cluster support disabled"):
		return "this server is in no cluster: write redis://"
	case secure && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded)):
		return "a server without TLS is silent, too: for one, write redis in place of rediss"
	case !secure && (errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)):
		return "a server with TLS does that: for one, write rediss in place of redis"
	}
	return ""
}
