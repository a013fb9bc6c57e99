package main

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// flagError is the error of a flag without its value, which may be a password.
// Of one that is not known it names the nearest that is.
func flagError(cmd *cobra.Command, err error) error {
	if invalid, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		return usageError{fmt.Errorf("--%s takes %s", invalid.GetFlag().Name, invalid.GetFlag().Value.Type())}
	}
	text, _, _ := strings.Cut(err.Error(), "=")
	if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok {
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		typed, _, _ := strings.Cut(cmp.Or(unknown.GetSpecifiedShortnames(), unknown.GetSpecifiedName()), "=") // -save-pth is a row of short ones
		text += didYouMean("--", typed, names)
	}
	return usageError{errors.New(text)}
}

// noArgs refuses arguments without repeating them: one may be a token.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if cmd.HasSubCommands() {
		var names []string
		for _, c := range cmd.Commands() {
			names = append(names, c.Name())
		}
		return usageError{errors.New("unknown command" + cmp.Or(didYouMean("", args[0], names), "; sessionctl --help lists them"))}
	}
	return usageError{fmt.Errorf("%s takes no arguments, only flags", cmd.Name())}
}

// didYouMean names those of names that are as good as what was typed, by cobra's
// own measure: two letters changed, or the beginning.
func didYouMean(before, typed string, names []string) string {
	if len(typed) < 2 { // near to anything short
		return ""
	}
	measure := &cobra.Command{SuggestionsMinimumDistance: 2}
	for _, name := range names {
		measure.AddCommand(&cobra.Command{Use: name, Run: func(*cobra.Command, []string) {}})
	}
	near := measure.SuggestionsFor(typed)
	if len(near) == 0 {
		return ""
	}
	return "; did you mean " + before + strings.Join(near, " or "+before) + "?"
}
