package main

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/chisession/session/backend"
)

func (a *app) revoke() *cobra.Command {
	return &cobra.Command{
		Use:   "revoke ID",
		Short: "End one session, by its public ID",
		Args:  oneArg("a session's ID, as ls shows it"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := parseID(args[0])
			if err != nil {
				return err
			}
			return a.with(cmd.Context(), func(s *service) error { return a.runRevoke(cmd.Context(), s, id) })
		},
	}
}

// parseID reads a session's ID. Its error does not repeat the text: it may be a
// token.
func parseID(text string) (uuid.UUID, error) {
	id, err := uuid.Parse(text)
	if err != nil || id.String() != text {
		return uuid.Nil, usageError{errors.New("that is not a session's ID, such as 0199c0de-0000-7000-8000-000000000000")}
	}
	return id, nil
}

func (a *app) runRevoke(ctx context.Context, s *service, id uuid.UUID) error {
	_, err := s.store.Load(ctx, id)
	found := err == nil
	if err != nil && !errors.Is(err, backend.ErrNotFound) {
		return err
	}
	if err := s.manager.Revoke(ctx, id.String()); err != nil {
		return err
	}
	result := struct {
		ID      string `json:"id"`
		Revoked bool   `json:"revoked"`
	}{id.String(), found}
	if !found {
		return a.print(result, "there is no session %s\n", id)
	}
	return a.print(result, "ended %s\n", id)
}

func (a *app) revokeUser() *cobra.Command {
	var except []string
	cmd := &cobra.Command{
		Use:   "revoke-user NAME",
		Short: "End all sessions of a user",
		Args:  oneArg("the user's name"),
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, id := range except {
				if _, err := parseID(id); err != nil {
					return err
				}
			}
			return a.with(cmd.Context(), func(s *service) error { return a.runRevokeUser(cmd.Context(), s, args[0], except) })
		},
	}
	cmd.Flags().StringSliceVar(&except, "except", nil, "ID of a session to keep; may be repeated")
	return cmd
}

func (a *app) runRevokeUser(ctx context.Context, s *service, user string, except []string) error {
	n, err := s.manager.RevokeUser(ctx, user, except...)
	if err != nil {
		return err
	}
	return a.print(struct {
		User    string `json:"user"`
		Revoked int    `json:"revoked"`
	}{user, n}, "ended %s of %s\n", plural(n, "session"), plain(user))
}
