package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// The exit codes.
const (
	exitOK    = 0
	exitFail  = 1 // it could not be done, or doctor found something wrong
	exitUsage = 2
)

// errUnwell ends doctor after it has said what is wrong.
var errUnwell = errors.New("something is wrong")

// usageError is a mistake on the command line.
type usageError struct{ error }

// An app is one run of the program.
type app struct {
	stdin          io.Reader // nil is os.Stdin
	stdout, stderr io.Writer
	where          where
	json           bool

	// What tests put in the place of the world.
	now       func() time.Time
	transport http.RoundTripper
}

// run runs the program and returns its exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	a := &app{stdout: stdout, stderr: stderr, now: time.Now}
	return a.run(ctx, args)
}

func (a *app) run(ctx context.Context, args []string) int {
	root := a.command()
	root.SetArgs(doubleDashes(root, args))
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errUnwell):
		return exitFail
	}
	a.complain(err)
	if _, usage := errors.AsType[usageError](err); usage {
		return exitUsage
	}
	return exitFail
}

// complain prints an error, without what is secret.
func (a *app) complain(err error) {
	text := a.where.redact(err.Error())
	if a.json {
		line, _ := json.Marshal(map[string]string{"error": text}) // strings always encode
		fmt.Fprintf(a.stderr, "%s\n", line)
		return
	}
	fmt.Fprintln(a.stderr, "sessionctl: "+text)
}

func (a *app) command() *cobra.Command {
	root := &cobra.Command{
		Use:   "sessionctl",
		Short: "Operate the sessions of an application",
		Long: `sessionctl operates the sessions that an application keeps with
github.com/chisession/session in files, MariaDB, MySQL, PostgreSQL, SQLite or Redis.

Where they are is said by --config FILE (the application's app.conf), by
--env PREFIX (its environment variables), or by --provider and --save-path.
SESSIONCTL_CONFIG, SESSIONCTL_PROVIDER and SESSIONCTL_SAVE_PATH stand for the
flags, which keeps a password out of the list of processes.

No command prints a token, a value or a password.`,
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.SetFlagErrorFunc(flagError)
	root.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	a.where.flags(root.PersistentFlags())
	root.PersistentFlags().BoolVar(&a.json, "json", false, "print JSON")
	complete(root)
	root.AddCommand(a.migrate(), a.stats(), a.ls(), a.show(), a.export(), a.importCmd(), a.revoke(), a.revokeUser(), a.gc(), a.doctor())
	return root
}

func oneArg(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 || args[0] == "" {
			return usageError{fmt.Errorf("%s takes one argument: %s", cmd.Name(), what)}
		}
		return nil
	}
}

// doubleDashes lets -config stand for --config, as in the flags of Go's own
// package.
func doubleDashes(root *cobra.Command, args []string) []string {
	known := map[string]bool{}
	note := func(f *pflag.Flag) { known[f.Name] = true }
	root.PersistentFlags().VisitAll(note)
	for _, c := range root.Commands() {
		c.Flags().VisitAll(note)
	}
	out := make([]string, len(args))
	for i, arg := range args {
		out[i] = arg
		if arg == "--" {
			copy(out[i:], args[i:])
			break
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(arg, "-"), "=")
		if strings.HasPrefix(arg, "-") && known[name] {
			out[i] = "-" + arg
		}
	}
	return out
}
