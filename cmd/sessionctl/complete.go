package main

import (
	"github.com/spf13/cobra"

	"github.com/chisession/session/cmd/sessionctl/internal/place"
)

// complete has shells complete what flags take: "sessionctl completion --help"
// says how. What is a secret, or in the store, is not completed.
func complete(root *cobra.Command) {
	for name, f := range map[string]cobra.CompletionFunc{
		"config":       cobra.FixedCompletions([]cobra.Completion{"conf"}, cobra.ShellCompDirectiveFilterFileExt),
		"provider":     cobra.FixedCompletions(place.Providers(), cobra.ShellCompDirectiveNoFileComp),
		"env":          cobra.NoFileCompletions,
		"table":        cobra.NoFileCompletions,
		"idle-timeout": cobra.NoFileCompletions,
	} {
		if err := root.RegisterFlagCompletionFunc(name, f); err != nil {
			panic("sessionctl: " + err.Error()) // there is no such flag: a mistake of this program
		}
	}
}
