package record

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestSecretsAreEven: a mebibyte of secrets, half of new sessions and half
// of renewed ones, is as even as random bytes are.
func TestSecretsAreEven(t *testing.T) {
	var seen [256]int
	const secrets = 1 << 20 / secretSize
	for range secrets / 2 {
		cred := NewCredentials(time.Now())
		next := cred.Renewed()
		for _, b := range append(cred.secret(), next.secret()...) {
			seen[b]++
		}
	}
	const want = secrets * secretSize / 256.0
	chi := 0.0
	for _, n := range seen {
		chi += (float64(n) - want) * (float64(n) - want) / want
	}
	if chi < 130 || chi > 420 { // 255 ± 22.6; random bytes fail less than once in a hundred million runs
		t.Errorf("χ² of %d bytes is %.1f, want about 255", secrets*secretSize, chi)
	}
}

// TestKeyFollowsTheSecret: there is no key to rotate. Each renewal
// seals under another, and the one before opens it no more, whatever hash
// somebody writes into the head.
func TestKeyFollowsTheSecret(t *testing.T) {
	old := NewCredentials(time.Now())
	renewed := old.Renewed()
	h := sampleHead(&renewed)
	data, _, err := encodeRecord(renewed.ID(), "ada", &h, &Body{}, []change{{"a", []byte{kindTrue}}}, Sealed, keyIf(t, &renewed, Sealed))
	if err != nil {
		t.Fatal(err)
	}
	if h, err = ParseHead(data); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Open(&renewed, "ada", data, &h, Sealed); err != nil {
		t.Errorf("the new secret: %v", err)
	}
	for _, forged := range []bool{false, true} {
		data := bytes.Clone(data)
		if forged {
			hash := old.Hash()
			copy(data[2:], hash[:])
		}
		got, err := ParseHead(data)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := Open(&old, "ada", data, &got, Sealed); err == nil {
			t.Errorf("the secret before the renewal opens the record (its hash in the head: %v)", forged)
		}
	}
}

// Golden records of format 1, as version 1.0 writes them: plain and sealed.
const (
	goldenToken  = "AZt22qgAdDWvMRN3anw9x6jzuUFVn-IaBueUT7QxGNywe-15vmyO217TcjbBAFTW"
	goldenHead   = "295b8ba23f88ab484cab2d764ad810e0088c77b4608347c0f7b145d8ffa62b5e00000000000000070006474846204000e0d40380dddb010746697265666f78"
	goldenPlain  = "0100" + goldenHead + "01040914182d046361727410746561046c697374145b312c325d016e0454047768656e12010000000ee0e7b00000000005ffff"
	goldenSealed = "0101" + goldenHead + "c270337b50a1485dc28d58ce44e034715656b4c233bbd654786f8a5554e1bf4230239cab9d131c054ec487d0af0f51132fe9d2a65532565c1f46cefdc2c6e6283db873f1b35938d225dae86010653a"
)

// TestGolden: records that an earlier release stored are read; of a
// version that does not exist yet, none.
func TestGolden(t *testing.T) {
	cred, ok := ParseToken(goldenToken)
	if !ok {
		t.Fatal("the golden token is refused")
	}
	want := map[string]any{"cart": "tea", "n": 42, "when": time.Unix(1_767_225_600, 5).UTC(), "list": []any{1.0, 2.0}}
	for how, golden := range map[Protection]string{Plain: goldenPlain, Sealed: goldenSealed} {
		data, err := hex.DecodeString(golden)
		if err != nil {
			t.Fatal(err)
		}
		h, err := ParseHead(data)
		if err != nil || !cred.Matches(&h.Hash) || h.Idle != time.Minute || h.Absolute != time.Hour || string(h.Label) != "Firefox" || h.Renewed != 1_767_225_600_000_000 {
			t.Errorf("the head is %+v, %v", h, err)
		}
		values, _, err := Open(&cred, "ada", data, &h, how)
		if err != nil {
			t.Errorf("Open: %v", err)
			continue
		}
		for key, want := range want {
			if got, err := Decode(values.Find(key)); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%s is %T %v, %v; want %v", key, got, got, err, want)
			}
		}
		for version := range 256 {
			data[0] = byte(version)
			if _, err := ParseHead(data); (err == nil) != (version == format1) {
				t.Errorf("format %d: %v", version, err)
			}
		}
	}
}

// TestHostileBytesCostLittle: hostile bytes cost no more than ten times their size,
// and do not overflow the stack. JSON that is well-formed costs what the values
// cost that it stands for: up to 64 times.
func TestHostileBytesCostLittle(t *testing.T) {
	huge := binary.AppendUvarint(nil, 1<<60)
	deep := strings.Repeat("[", 1<<20)
	for name, data := range map[string][]byte{
		"a count of 2^60":       append([]byte{1}, huge...),
		"a length of 2^60":      append(append([]byte{1, 1}, huge...), huge...),
		"many counts":           bytes.Repeat(huge, 10_000),
		"zeros":                 make([]byte, 1<<20),
		"ones":                  bytes.Repeat([]byte{0xff}, 1<<20),
		"nested JSON":           append([]byte{kindJSON}, deep...),
		"nested JSON objects":   append([]byte{kindJSON}, strings.Repeat(`{"a":`, 1<<18)...),
		"a long name":           append(append([]byte{kindNamed}, huge...), deep...),
		"a name, then JSON":     append([]byte{kindNamed, 1, 'x'}, deep...),
		"well-formed, nested":   []byte(string(rune(kindJSON)) + deep[:9000] + strings.Repeat("]", 9000)),
		"well-formed, objects":  []byte(string(rune(kindJSON)) + "[" + strings.Repeat("{},", 100_000) + "0]"),
		"a record of format 1":  append([]byte{1, 0}, bytes.Repeat([]byte{0xff}, 1<<20)...),
		"a time of many bytes":  append([]byte{kindTime}, make([]byte, 1<<20)...),
		"a string of a million": append([]byte{kindString}, make([]byte, 1<<20)...),
	} {
		times := 10
		if strings.HasPrefix(name, "well-formed") {
			times = 64
		}
		for what, read := range map[string]func(){
			"decode": func() { Decode(data) }, "DecodeTo": func() { DecodeTo[map[string]any](data) },
			"parseBody": func() {
				if b, err := parseBody(data); err == nil {
					b.check()
					b.Find("x")
				}
			},
			"ParseHead": func() { ParseHead(data) },
		} {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			read()
			runtime.ReadMemStats(&after)
			if cost, limit := after.TotalAlloc-before.TotalAlloc, uint64(times*len(data)+64<<10); cost > limit {
				t.Errorf("%s of %s, %d bytes: %d allocated, want at most %d", what, name, len(data), cost, limit)
			}
		}
	}
}

// TestDataOnly: bytes choose among the kinds of data, and among types
// that the application registered; no other name makes a type.
func TestDataOnly(t *testing.T) {
	for _, name := range []string{"os.File", "*os.File", "os/exec.Cmd", "session.Session", "*record.Credentials", "record.point", "net/http.Request", "", "\x00", "reflect.Value", "func()"} {
		encoded := append(append([]byte{kindNamed, byte(len(name))}, name...), `{"Path":"/bin/sh","X":1}`...)
		got, err := Decode(encoded)
		if generic, ok := got.(map[string]any); err == nil && (!ok || len(generic) != 2) {
			t.Errorf("the name %q made a %T", name, got)
		}
	}
	for kind := range 256 {
		for _, payload := range []string{"", "\x01", `{}`, `{"a":[1,"x",null]}`, "\x01x{}", strings.Repeat("\x00", 15), strings.Repeat("\x01", 8)} {
			got, err := Decode(append([]byte{byte(kind)}, payload...))
			if err != nil || got == nil {
				continue
			}
			switch got.(type) {
			case bool, string, []byte, int, int8, int16, int32, int64, uint, uint8, uint16, uint32, uint64, float32, float64,
				time.Time, time.Duration, map[string]any, []any:
			default:
				t.Errorf("kind %d made a %T", kind, got)
			}
		}
	}
}

// TestHeadLogin: when the user logged in takes four bytes where it is known, and
// none where it is not.
func TestHeadLogin(t *testing.T) {
	cred := NewCredentials(time.Now())
	encode := func(h Head) []byte {
		data, _, err := encodeRecord(cred.ID(), "ada", &h, &Body{}, nil, Plain, nil)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	for _, ends := range []int64{0, 1_767_225_600_000} {
		h := sampleHead(&cred)
		h.Ends = ends
		without := encode(h)
		h.Login = 1_767_225_600
		with := encode(h)
		if len(with) != len(without)+4 {
			t.Errorf("%d bytes with it, %d without, want 4 more", len(with), len(without))
		}
		if got, err := ParseHead(with); err != nil || got.Login != h.Login || got.Ends != ends || string(got.Label) != "Firefox" {
			t.Errorf("ParseHead = %+v, %v", got, err)
		}
		if got, err := ParseHead(without); err != nil || got.Login != 0 {
			t.Errorf("without it: ParseHead = %+v, %v", got, err)
		}
		end := headLen(&h)
		if _, err := ParseHead(with[:end]); err == nil {
			t.Error("a head that was cut short is read")
		}
	}
}
