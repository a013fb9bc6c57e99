package session_test

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/chisession/session"
)

// serveExample makes a manager and a visitor of its paths.
func serveExample(cfg session.Config, pages map[string]http.HandlerFunc) (*session.Manager, func(target string) string) {
	manager, err := session.New(cfg)
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	for path, page := range pages {
		mux.HandleFunc(path, page)
	}
	return manager, visitor(manager.Middleware(mux))
}

// Built-in types, time.Time and time.Duration come back as exactly what they
// were.
func ExampleSession_Get() {
	manager, visit := serveExample(session.Config{}, map[string]http.HandlerFunc{
		"/set": func(w http.ResponseWriter, r *http.Request) {
			s := session.FromContext(r)
			s.Set("int", 7)
			s.Set("uint8", uint8(7))
			s.Set("duration", 90*time.Second)
			s.Set("bytes", []byte{1, 2})
			s.Set("map", map[string]int{"a": 1})
		},
		"/get": func(w http.ResponseWriter, r *http.Request) {
			s := session.FromContext(r)
			for _, key := range s.Keys() {
				fmt.Fprintf(w, "%s: %T %v\n", key, s.Get(key), s.Get(key))
			}
			fmt.Fprintf(w, "nothing: %v\n", s.Get("nothing"))
		},
	})
	defer manager.Close()

	visit("/set")
	fmt.Print(visit("/get"))
	// Output:
	// bytes: []uint8 [1 2]
	// duration: time.Duration 1m30s
	// int: int 7
	// map: map[string]int map[a:1]
	// uint8: uint8 7
	// nothing: <nil>
}

// Delete, Pop and Clear remove values.
func ExampleSession_Set() {
	manager, visit := serveExample(session.Config{}, map[string]http.HandlerFunc{
		"/set": func(w http.ResponseWriter, r *http.Request) {
			s := session.FromContext(r)
			s.Set("name", "Ada")
			s.Set("color", "green")
			s.Set("return", "/cart")
		},
		"/change": func(w http.ResponseWriter, r *http.Request) {
			s := session.FromContext(r)
			s.Set("name", "Grace")
			s.Delete("color")
			fmt.Fprintln(w, "went back to", s.Pop("return"))
		},
		"/show": func(w http.ResponseWriter, r *http.Request) {
			s := session.FromContext(r)
			fmt.Fprintln(w, s.Keys(), s.Get("name"), s.Has("color"))
		},
	})
	defer manager.Close()

	visit("/set")
	fmt.Print(visit("/change"))
	fmt.Print(visit("/show"))
	// Output:
	// went back to /cart
	// [name] Grace false
}

// Get with a type parameter reads structs, and needs no registration.
func ExampleGet() {
	type Item struct {
		Name  string
		Price int
	}
	manager, visit := serveExample(session.Config{}, map[string]http.HandlerFunc{
		"/set": func(w http.ResponseWriter, r *http.Request) {
			session.FromContext(r).Set("cart", []Item{{"tea", 4}, {"cup", 9}})
		},
		"/get": func(w http.ResponseWriter, r *http.Request) {
			s := session.FromContext(r)
			cart, ok := session.Get[[]Item](s, "cart")
			fmt.Fprintln(w, cart, ok)
			_, ok = session.Get[int](s, "cart")
			fmt.Fprintln(w, "an int:", ok)
		},
	})
	defer manager.Close()

	visit("/set")
	fmt.Print(visit("/get"))
	// Output:
	// [{tea 4} {cup 9}] true
	// an int: false
}

// A Theme is registered, so Get without a type parameter returns one.
type Theme struct{ Name string }

func init() { session.Register(Theme{}) }

func ExampleRegister() {
	manager, visit := serveExample(session.Config{}, map[string]http.HandlerFunc{
		"/set": func(w http.ResponseWriter, r *http.Request) {
			session.FromContext(r).Set("theme", Theme{"dark"})
		},
		"/get": func(w http.ResponseWriter, r *http.Request) {
			theme, ok := session.FromContext(r).Get("theme").(Theme)
			fmt.Fprintln(w, theme.Name, ok)
		},
	})
	defer manager.Close()

	visit("/set")
	fmt.Print(visit("/get"))
	// Output: dark true
}

// A Key has a type, so nothing needs an assertion, and nothing is misspelt.
func ExampleKey() {
	type item struct {
		Name  string
		Count int
	}
	cart := session.NewKey[[]item]("cart") // as a variable of the package
	manager, visit := serveExample(session.Config{}, map[string]http.HandlerFunc{
		"/add": func(w http.ResponseWriter, r *http.Request) {
			_, err := cart.Update(session.FromContext(r), func(items []item) []item {
				return append(items, item{"tea", 2})
			})
			if err != nil {
				http.Error(w, "please try again", http.StatusServiceUnavailable)
			}
		},
		"/cart": func(w http.ResponseWriter, r *http.Request) {
			for _, item := range cart.Or(session.FromContext(r), nil) {
				fmt.Fprintln(w, item.Count, "of", item.Name)
			}
		},
	})
	defer manager.Close()

	visit("/add")
	visit("/add")
	fmt.Print(visit("/cart"))
	// Output:
	// 2 of tea
	// 2 of tea
}

// Update counts exactly, however many requests of a session overlap.
func ExampleUpdate() {
	manager, visit := serveExample(session.Config{}, map[string]http.HandlerFunc{
		"/": func(w http.ResponseWriter, r *http.Request) {
			session.FromContext(r).Set("clicks", 0)
		},
		"/click": func(w http.ResponseWriter, r *http.Request) {
			n, err := session.Update(session.FromContext(r), "clicks", func(n int) int { return n + 1 })
			if err != nil {
				http.Error(w, "please try again", http.StatusServiceUnavailable)
				return
			}
			fmt.Fprint(w, n)
		},
	})
	defer manager.Close()

	visit("/") // the browser has its cookie
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() { visit("/click") })
	}
	wg.Wait()
	fmt.Println("the 21st click:", visit("/click"))
	// Output: the 21st click: 21
}

// Several values change together, or not at all.
func ExampleSession_Update() {
	errBroke := errors.New("not enough points")
	buy := func(s *session.Session, price int) error {
		return s.Update(func(v *session.Values) error {
			points, _ := v.Get("points").(int)
			if points < price {
				return errBroke
			}
			things, _ := v.Get("things").(int)
			v.Set("points", points-price)
			v.Set("things", things+1)
			return nil
		})
	}
	manager, visit := serveExample(session.Config{}, map[string]http.HandlerFunc{
		"/start": func(w http.ResponseWriter, r *http.Request) {
			session.FromContext(r).Set("points", 10)
		},
		"/buy": func(w http.ResponseWriter, r *http.Request) {
			s := session.FromContext(r)
			err := buy(s, 6)
			fmt.Fprintln(w, s.Get("things"), "bought,", s.Get("points"), "points left, error:", err)
		},
	})
	defer manager.Close()

	visit("/start")
	fmt.Print(visit("/buy"))
	fmt.Print(visit("/buy"))
	// Output:
	// 1 bought, 4 points left, error: <nil>
	// 1 bought, 4 points left, error: not enough points
}
