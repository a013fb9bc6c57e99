package testserver

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
)

// An account is the user that a server runs as; the zero account is ours.
type account struct {
	other    bool
	uid, gid int
}

// unprivileged returns the account for servers that refuse to be root's: ours,
// or for root that of PostgreSQL's package, or nobody.
func unprivileged() (account, error) { return accountOf("postgres", "nobody") }

// accountOf returns our account, or for root the first of these that there is.
func accountOf(names ...string) (account, error) {
	if os.Geteuid() != 0 {
		return account{}, nil
	}
	for _, name := range names {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.Atoi(u.Uid)
		gid, gidErr := strconv.Atoi(u.Gid)
		if uidErr == nil && gidErr == nil {
			return account{true, uid, gid}, nil
		}
	}
	return account{}, fmt.Errorf("testserver: a server must not run as root, and there is no user %s", strings.Join(names, " or "))
}

// own gives the file or directory path to the account, with all that is in it.
func (a account) own(path string) error {
	if !a.other {
		return nil
	}
	err := filepath.WalkDir(path, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, a.uid, a.gid)
	})
	if err != nil {
		return fmt.Errorf("testserver: give %s to user %d: %w", path, a.uid, err)
	}
	return nil
}

// apply has cmd run as the account.
func (a account) apply(cmd *exec.Cmd) {
	if a.other {
		runAs(cmd, a.uid, a.gid)
	}
}

// behind returns what runs a program as the account where something that needs
// root must run before it.
func (a account) behind(path string, args []string) (string, []string) {
	if !a.other {
		return path, args
	}
	return "setpriv", append([]string{"--reuid", strconv.Itoa(a.uid), "--regid", strconv.Itoa(a.gid), "--clear-groups", "--pdeathsig", "KILL", path}, args...)
}
