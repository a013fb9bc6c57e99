// Command generate made the records in testdata, as the old libraries do: in
// a scratch module,
//
//	go mod init scratch
//	go get github.com/alexedwards/scs/v2@v2.9.0 github.com/gorilla/sessions@v1.4.0
//	go run main.go DIR
//
// Beego cannot be had everywhere; what it does is three lines.
package main

import (
	"bytes"
	"encoding/gob"
	"os"
	"path/filepath"
	"time"

	"github.com/alexedwards/scs/v2"
	_ "github.com/gorilla/sessions" // registers []any
)

// Cart is a type of the old application.
type Cart struct {
	Items []string
	Total int
}

var when = time.Date(2024, 2, 3, 4, 5, 6, 7, time.UTC)

func main() {
	plain := map[any]any{
		"uid": 4711, "name": "Ann Ω", "admin": true, "rate": 1.25, "raw": []byte{0, 1, 255}, "big": uint64(1) << 63, 7: "seven",
		"seen": when, "left": time.Minute,
		"anys": []any{1, "x", when, map[any]any{"n": 1}}, "any": map[string]any{"n": 42, "tags": []string{"a"}, "at": when, "for": time.Hour},
		"odd": map[any]any{"a": 1, 2: "b"}, "intany": map[int]any{1: "one", 2: 2},
		"strings": map[string]string{"lang": "pt"}, "intstring": map[int]string{1: "one"}, "ints": map[int]int{1: 2}, "int64s": map[int]int64{1: 1 << 40},
		"list": []string{"a", "b"},
	}
	for _, v := range []any{[]any{}, map[int]any{}, map[string]any{}, map[any]any{}, map[string]string{}, map[int]string{}, map[int]int{}, map[int]int64{}} {
		gob.Register(v)
	}
	write("beego.gob", beego(plain))
	write("beego-unknown.gob", beego(map[any]any{"uid": 4711, "cart": Cart{[]string{"tea"}, 3}, "more": []any{Cart{Total: 1}}}))

	values := map[string]any{}
	for key, v := range plain {
		if key, ok := key.(string); ok {
			values[key] = v
		}
	}
	values["__rememberMe"] = true
	b, err := scs.GobCodec{}.Encode(time.Date(2999, 1, 2, 3, 4, 5, 6, time.UTC), values)
	check(err)
	write("scs.gob", b)
	b, err = scs.GobCodec{}.Encode(time.Date(2999, 1, 2, 3, 4, 5, 6, time.UTC), map[string]any{"uid": 4711, "cart": &Cart{Total: 3}})
	check(err)
	write("scs-unknown.gob", b)
}

// beego does what EncodeGob of server/web/session does.
func beego(values map[any]any) []byte {
	for _, v := range values {
		gob.Register(v)
	}
	var b bytes.Buffer
	check(gob.NewEncoder(&b).Encode(values))
	return b.Bytes()
}

func write(name string, data []byte) {
	check(os.WriteFile(filepath.Join(os.Args[1], name), data, 0o644))
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
