package shop

import (
	"fmt"

	"golang.org/x/crypto/bcrypt"
)

// The user that the login page tells everybody about.
const (
	demoUser     = "ada"
	demoPassword = "lovelace"
)

// users are the people who can sign in, with the hashes of their passwords. A
// real shop keeps them in a database, and slows down those who guess.
type users struct {
	hashes map[string][]byte
	nobody []byte // compared with where there is no such user
}

func newUsers(cost int) (*users, error) {
	u := &users{hashes: make(map[string][]byte)}
	for name, password := range map[string]string{demoUser: demoPassword, "grace": "hopper"} {
		hash, err := bcrypt.GenerateFromPassword([]byte(password), cost)
		if err != nil {
			return nil, fmt.Errorf("hash a password: %w", err)
		}
		u.hashes[name] = hash
	}
	u.nobody = u.hashes[demoUser]
	return u, nil
}

// check reports whether this is name's password. It takes as long for a name
// that does not exist, so that names cannot be found out by the clock.
func (u *users) check(name, password string) bool {
	hash, exists := u.hashes[name]
	if !exists {
		hash = u.nobody
	}
	return bcrypt.CompareHashAndPassword(hash, []byte(password)) == nil && exists
}
