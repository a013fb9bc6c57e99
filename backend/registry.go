package backend

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// An Opener opens a store at a place that savePath names in the backend's own
// terms: a directory, an address, a DSN. Its errors never repeat a password.
type Opener func(savePath string) (Store, error)

// registry holds openers, never stores: two managers share nothing.
var registry = struct {
	sync.RWMutex
	openers map[string]Opener
}{openers: map[string]Opener{}}

// Register makes a backend known by name, as database/sql drivers do; call it
// from an init function. It panics if the name is empty or taken, or open is
// nil: two packages that claim one name are a mistake to find at start.
func Register(name string, open Opener) {
	registry.Lock()
	defer registry.Unlock()
	if name == "" || open == nil {
		panic("backend: Register needs a name and an opener")
	}
	if _, taken := registry.openers[name]; taken {
		panic(fmt.Sprintf("backend: Register called twice for %q", name))
	}
	registry.openers[name] = open
}

// Names returns the registered names, sorted.
func Names() []string {
	registry.RLock()
	defer registry.RUnlock()
	names := make([]string, 0, len(registry.openers))
	for name := range registry.openers {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Open opens a store by its backend's registered name. An unknown name is an
// error that lists the known ones and, for the backends of this module, says
// which import is missing.
func Open(name, savePath string) (Store, error) {
	registry.RLock()
	open, ok := registry.openers[name]
	registry.RUnlock()
	if !ok {
		return nil, unknown(name)
	}
	store, err := open(savePath)
	if err != nil {
		return nil, fmt.Errorf("open provider %q: %w", name, err)
	}
	return store, nil
}

func unknown(name string) error {
	hint := ""
	switch name {
	case "mysql", "redis", "file", "memory":
		hint = "forgotten import github.com/chisession/session/backend/" + name + "? "
	case "postgres", "sqlite", "goredis", "rueidis":
		hint = "forgotten import github.com/chisession/session/backend/" + name + ", which is a module of its own: go get it? "
	}
	shown := strconv.Quote(name)
	if strings.ContainsAny(name, ":@/") || len(name) > 64 {
		shown = "(not shown: it looks like a save path, which may hold a password)"
	}
	return fmt.Errorf("unknown provider %s (%shave %s)", shown, hint, strings.Join(Names(), ", "))
}
