package main

import (
	"net/http"
	"strconv"

	"github.com/go-chi/chi/v5"
)

// A library is what the handlers need of a session library, each call written
// as that library's documentation would have it.
type library interface {
	// middleware goes around the router, as the library wants to be mounted.
	middleware(next http.Handler) http.Handler

	// number returns the value "count"; add stores one more and returns it.
	number(r *http.Request) (int, error)
	add(w http.ResponseWriter, r *http.Request) (int, error)

	// text returns the value of key; setText stores another one.
	text(r *http.Request, key string) (string, error)
	setText(w http.ResponseWriter, r *http.Request, key, value string) error

	// login makes a new session of three values; fill one of n texts.
	login(w http.ResponseWriter, r *http.Request) error
	fill(w http.ResponseWriter, r *http.Request, n int, text string) error

	// renew gives the session another token, destroy ends it.
	renew(w http.ResponseWriter, r *http.Request) error
	destroy(w http.ResponseWriter, r *http.Request) error
}

// A scenario is one kind of request.
type scenario string

// The scenarios of the duels.
const (
	untouched scenario = "A"  // no cookie, the session is not touched
	read      scenario = "B"  // read one value of three
	write     scenario = "C"  // read and write an int
	readBig   scenario = "Dr" // 20 values, 2 KB: read one
	writeBig  scenario = "Dw" // ... write one
	login     scenario = "E"  // a new session of three values
	renew     scenario = "F"  // a new token
	destroy   scenario = "G"  // logout
)

var scenarios = []scenario{untouched, read, write, readBig, writeBig, login, renew, destroy}

var what = map[scenario]string{
	untouched: "no cookie, session untouched",
	read:      "read one value of three",
	write:     "read and write an int",
	readBig:   "20 values, 2 KB: read one",
	writeBig:  "20 values, 2 KB: write one",
	login:     "login: new session, 3 values",
	renew:     "renew the token",
	destroy:   "destroy",
}

// brief is what in a word or two.
var brief = map[scenario]string{
	untouched: "untouched", read: "read", write: "write", readBig: "read 2 KB", writeBig: "write 2 KB",
	login: "login", renew: "renew", destroy: "destroy",
}

// big reports whether the session has 20 values.
func (s scenario) big() bool { return s == readBig || s == writeBig }

const (
	bigValues = 20
	bigKey    = "value07"
)

// bigTexts are the two values that writeBig stores in turns: each time a
// change, as a value that stays the same need not be stored.
var bigTexts = [2]string{longText(100, 'a'), longText(100, 'b')}

func longText(size int, c byte) string {
	b := make([]byte, size)
	for i := range b {
		b[i] = c + byte(i%13)
	}
	return string(b)
}

// keyOf returns the key of the value number i.
func keyOf(i int) string {
	if i < 10 {
		return "value0" + strconv.Itoa(i)
	}
	return "value" + strconv.Itoa(i)
}

// digits and marks are answers, made beforehand: what is measured is not how a
// number is printed.
var (
	digits = func() (d [256][]byte) {
		for i := range d {
			d[i] = strconv.AppendInt(nil, int64(i), 10)
		}
		return d
	}()
	marks = [3][]byte{[]byte("a"), []byte("b"), []byte("?")}
	done  = []byte("ok")
)

func mark(text string) []byte {
	switch text {
	case bigTexts[0]:
		return marks[0]
	case bigTexts[1]:
		return marks[1]
	}
	return marks[2]
}

// newRouter returns the chi router with the handlers, the same for every
// library. The response tells what was read, so that the setup can see that the
// work is done.
func newRouter(lib library) http.Handler {
	turn := 0 // of writeBig, which one goroutine runs
	router := chi.NewRouter()
	if _, raw := lib.(*raw); !raw {
		router.Use(lib.middleware)
	}
	router.Get("/A", func(w http.ResponseWriter, r *http.Request) {
		answer(w, done, nil)
	})
	router.Get("/B", func(w http.ResponseWriter, r *http.Request) {
		n, err := lib.number(r)
		answer(w, digits[n&255], err)
	})
	router.Get("/C", func(w http.ResponseWriter, r *http.Request) {
		n, err := lib.add(w, r)
		answer(w, digits[n&255], err)
	})
	router.Get("/Dr", func(w http.ResponseWriter, r *http.Request) {
		text, err := lib.text(r, bigKey)
		answer(w, mark(text), err)
	})
	router.Get("/Dw", func(w http.ResponseWriter, r *http.Request) {
		turn ^= 1
		err := lib.setText(w, r, bigKey, bigTexts[turn])
		answer(w, marks[turn], err)
	})
	router.Get("/E", func(w http.ResponseWriter, r *http.Request) {
		answer(w, done, lib.login(w, r))
	})
	router.Get("/F", func(w http.ResponseWriter, r *http.Request) {
		answer(w, done, lib.renew(w, r))
	})
	router.Get("/G", func(w http.ResponseWriter, r *http.Request) {
		answer(w, done, lib.destroy(w, r))
	})
	// What the growth tables need.
	router.Get("/fill", func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.URL.Query().Get("n"))
		size, _ := strconv.Atoi(r.URL.Query().Get("size"))
		answer(w, done, lib.fill(w, r, n, longText(size, 'a')))
	})
	router.Get("/first", func(w http.ResponseWriter, r *http.Request) {
		text, err := lib.text(r, keyOf(0))
		answer(w, digits[len(text)&255], err)
	})
	router.Get("/one", func(w http.ResponseWriter, r *http.Request) {
		turn ^= 1
		answer(w, done, lib.setText(w, r, keyOf(0), bigTexts[turn][:16]))
	})
	router.Get("/last", func(w http.ResponseWriter, r *http.Request) {
		turn ^= 1
		answer(w, done, lib.setText(w, r, keyOf(99), bigTexts[turn][:16]))
	})
	return router
}

// answer sends what the handler read. It is after the library's own calls, as
// gorilla wants it.
func answer(w http.ResponseWriter, body []byte, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_, _ = w.Write(body) // nobody to tell: the writer discards it
}
