package conf

import (
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chisession/session"
	"github.com/chisession/session/cookie"
)

func TestFileFormat(t *testing.T) {
	named := func(name string) session.Config {
		return session.Config{Disabled: true, Cookie: cookie.Options{Name: name}}
	}
	path := func(path string) session.Config { return session.Config{Disabled: true, SavePath: path} }
	for _, tt := range []struct {
		name string
		text string
		env  vars
		want session.Config
	}{
		{"case of the key", "SessionName = a", nil, named("a")},
		{"capitals", "SESSIONNAME=a", nil, named("a")},
		{"blanks", "\t sessionname \t=\t a \t", nil, named("a")},
		{"CRLF", "appname = x\r\nsessionname = a\r\n", nil, named("a")},
		{"byte order mark", "\ufeffsessionname = a", nil, named("a")},
		{"no newline at the end", "sessionname = a", nil, named("a")},
		{"comments", "# sessionname = b\n; sessionname = c\nsessionname = a\n  #sessionname = d", nil, named("a")},
		{"hash and semicolon in a value", "sessionsavepath = u:p #s;w@x ; y", nil, path("u:p #s;w@x ; y")},
		{"equals signs in a value", "sessionsavepath = u:p=@tcp(h)/d?a=b&c==d", nil, path("u:p=@tcp(h)/d?a=b&c==d")},
		{"backslash at the end", "sessionsavepath = C:\\tmp\\\nappname = x", nil, path(`C:\tmp\`)},
		{"percent signs", "sessionsavepath = %(appname)s", nil, path("%(appname)s")},
		{"double quotes", `sessionsavepath = "a b"`, nil, path("a b")},
		{"double quotes with a hash", `sessionsavepath = "u:p#;w"`, nil, path("u:p#;w")},
		{"single quotes", `sessionsavepath = 'a b'`, nil, path("a b")},
		{"quotes inside", `sessionsavepath = a"b'c"`, nil, path(`a"b'c"`)},
		{"quotes around quotes", `sessionsavepath = ""a"b""`, nil, path(`a"b`)},
		{"a lone quote", `sessionsavepath = '`, nil, path(`'`)},
		{"empty quotes", `sessionsavepath = ""`, nil, path("")},
		{"the later of two counts", "sessionname = a\nSessionName = b", nil, named("b")},
		{"blank after another: as if absent", "sessionname = a\nsessionname =", nil, named("")},
		{"non-UTF-8 in a comment", "# \xe4\xff\nsessionname = a", nil, named("a")},
		{"non-UTF-8 in a password", "sessionsavepath = u:\xe4@h", nil, path("u:\xe4@h")},

		{"section of the default run mode", "sessionname = a\n[prod]\nsessionname = b\n[dev]\nsessionname = c", nil, named("b")},
		{"section of the run mode", "runmode = dev\nsessionname = a\n[prod]\nsessionname = b\n[dev]\nsessionname = c", nil, named("c")},
		{"run mode in another case", "RunMode = Dev\n[DEV]\nsessionname = c", nil, named("c")},
		{"run mode below", "sessionname = a\n[dev]\nsessionname = c\n[default]\nrunmode = dev", nil, named("c")},
		{"run mode in quotes", "runmode = \"dev\"\n[dev]\nsessionname = c", nil, named("c")},
		{"run mode from the environment", "runmode = dev\n[test]\nsessionname = b\n[dev]\nsessionname = c", vars{"BEEGO_RUNMODE": "test"}, named("b")},
		{"blank run mode in the environment", "runmode = dev\n[dev]\nsessionname = c", vars{"BEEGO_RUNMODE": " "}, named("c")},
		{"run mode by reference", "runmode = ${MODE||dev}\n[dev]\nsessionname = c", nil, named("c")},
		{"run mode without a section", "runmode = stage\nsessionname = a\n[prod]\nsessionname = b", nil, named("a")},
		{"run mode default", "runmode = default\nsessionname = a", nil, named("a")},
		{"run mode within a section does not count", "[prod]\nrunmode = dev\nsessionname = b\n[dev]\nsessionname = c", nil, named("b")},
		{"blank in the section: the default one's", "sessionname = a\n[prod]\nsessionname =", nil, named("a")},
		{"the section before the default one", "[prod]\nsessionname = b\n[default]\nsessionname = a", nil, named("b")},
		{"a section in two parts", "[prod]\nsessionname = b\n[x]\n[prod]\nsessionsavepath = p", nil, session.Config{Disabled: true, SavePath: "p", Cookie: cookie.Options{Name: "b"}}},
		{"bad value in another section", "[dev]\nsessionon = maybe\nsessionfoo = x", nil, session.Config{Disabled: true}},
		{"bad value that another overrides", "sessionenablesidinurlquery = true\nsessionname = ${NOT_SET}\n[prod]\nsessionenablesidinurlquery = false\nsessionname = b", nil, named("b")},
		{"the other name in the section", "sessionsavepath = a\n[prod]\nsessionproviderconfig = b", nil, path("b")},

		{"variable", "sessionname = ${NAME}", vars{"NAME": "a"}, named("a")},
		{"variable, not its default", "sessionname = ${NAME||b}", vars{"NAME": "a"}, named("a")},
		{"default of a variable", "sessionname = ${NAME||b}", nil, named("b")},
		{"default of an empty variable", "sessionname = ${NAME||b}", vars{"NAME": ""}, named("b")},
		{"blank default", "sessionname = ${NAME||}", nil, named("")},
		{"empty variable", "sessionname = ${NAME}", vars{"NAME": ""}, named("")},
		{"blanks in a reference", "sessionname = ${ NAME || b }", nil, named("b")},
		{"default of a default", "sessionname = ${NAME||${OTHER||c}}", nil, named("c")},
		{"quoted reference", `sessionsavepath = "${DSN||u:p#w@tcp(h)/d?a=b}"`, nil, path("u:p#w@tcp(h)/d?a=b")},
		{"content of a variable is taken as it is", "sessionsavepath = ${DSN}", vars{"DSN": `"${X}#;=`}, path(`"${X}#;=`)},
		{"a dollar and a brace apart", "sessionsavepath = u:$x{y}@h", nil, path("u:$x{y}@h")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := loadText(tt.text, tt.env)
			if err != nil {
				t.Fatalf("Load of %q: %v", tt.text, err)
			}
			expectConfig(t, "Load", got, tt.want)
		})
	}
}

// The line in an error is the line of the key that counts, whatever is around.
func TestLineNumbers(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"first", "sessionon = x", "app.conf:1: sessionon"},
		{"after blank lines and CRLF", "\r\n\r\n\r\n  SessionOn=x", "app.conf:4: SessionOn"},
		{"byte order mark", "\ufeff\nsessionon = x", "app.conf:2: sessionon"},
		{"the later of two", "sessionon = true\n# sessionon = x\nsessionon = x\n", "app.conf:3: sessionon"},
		{"not the one in another section", "[dev]\nsessionon = x\n[prod]\nsessionon = x", "app.conf:4: sessionon"},
		{"the section's, not the default one's", "sessionon = true\n[prod]\nsessionon = x", "app.conf:3: sessionon"},
		{"a key that another has in its value", "appname = sessionon = x\nsessionon = x", "app.conf:2: sessionon"},
		{"quoted key", "\n\"sessionon\" = x", "app.conf:2: sessionon"},
		{"quotes that seem to go on", "sessionsavepath = \"\"\"a\n\nsessionon = x", "app.conf:1: not a line"},
		{"backslash that seems to go on", "appname = a\\\nsessionon = x", "app.conf:2: sessionon"},
		{"a line that is nothing", "a = b\nc\n", "app.conf:2: not a line"},
		{"unclosed section", "a = b\n\n[prod\n", "app.conf:3: not a line"},
		{"section without a name", "[]\n", "app.conf:1: not a line"},
		{"run mode", "\nrunmode = ${NOT_SET}", "app.conf:2: runmode"},
		{"include without a file", "\ninclude\n", "app.conf:2: not a line"},
	} {
		_, err := loadText(tt.text, nil)
		expectError(t, tt.name, err, tt.want)
	}
}

func TestInclude(t *testing.T) {
	open := files{
		"conf/app.conf":    "sessionname = a\nsessionsavepath = a\ninclude \"more/Session.conf\"\nsessionsavepath = b\n",
		"conf/quoted.conf": "INCLUDE 'more/Session.conf'",
		"conf/bare.conf":   "include more/Session.conf\r\n",
		"conf/tight.conf":  "include\"more/Session.conf\"",
		"conf/inner.conf":  "[dev]\ninclude more/Session.conf\nsessionname = x",
		"conf/abs.conf":    "include \"/etc/s.conf\"",
		"conf/bad.conf":    "\n\ninclude more/bad.conf",
		"conf/gone.conf":   "a = b\ninclude more/gone.conf",
		"conf/key.conf":    "include = more/gone.conf\nincluded = x\nincludes = y",
		"conf/loop.conf":   "include more/loop.conf",

		"conf/more/Session.conf": "# ours\nsessionname = included\nsessionsavepath = included\n[prod]\nsessionprovider = file\n",
		"conf/more/bad.conf":     "\nsessionon = maybe",
		"conf/more/loop.conf":    "include ../loop.conf\ninclude ../loop.conf",
		"/etc/s.conf":            "sessionname = absolute",
	}.open
	for _, tt := range []struct{ file, name, path string }{
		{"conf/app.conf", "included", "b"},
		{"conf/quoted.conf", "included", "included"},
		{"conf/bare.conf", "included", "included"},
		{"conf/tight.conf", "included", "included"},
		{"conf/inner.conf", "included", "included"},
		{"conf/abs.conf", "absolute", ""},
		{"conf/key.conf", "", ""},
	} {
		got, err := load(tt.file, open, vars{}.lookup)
		if err != nil || got.Cookie.Name != tt.name || got.SavePath != tt.path {
			t.Errorf("load(%s) = name %q, save path %q, %v; want %q, %q", tt.file, got.Cookie.Name, got.SavePath, err, tt.name, tt.path)
		}
	}
	for file, want := range map[string]string{
		"conf/bad.conf":  "conf/more/bad.conf:2: sessionon",
		"conf/gone.conf": "conf/more/gone.conf",
		"conf/loop.conf": "conf/more/loop.conf:1: include: this makes conf/loop.conf include itself",
	} {
		_, err := load(file, open, vars{}.lookup)
		expectError(t, file, err, want)
	}
}

// A loop of includes is told in one line that can be read, also where a link
// gives the same file another name each time.
func TestIncludeLoop(t *testing.T) {
	loop := files{
		"conf/self.conf":  "sessionon = true\ninclude ./self.conf\n",
		"conf/a.conf":     "include b/b.conf",
		"conf/b/b.conf":   "\ninclude ../c.conf",
		"conf/c.conf":     "include a.conf",
		"conf/twice.conf": "include once.conf\ninclude once.conf",
		"conf/once.conf":  "sessionon = true",
	}
	for _, tt := range []struct {
		file  string
		open  opener
		parts []string
		most  int // of "included by"
	}{
		{"conf/self.conf", loop.open, []string{"conf/self.conf:2: include", "include itself"}, 0},
		{"./conf/self.conf", func(name string, included bool) ([]byte, error) { return loop.open(filepath.Clean(name), included) },
			[]string{"conf/self.conf:2: include", "include itself"}, 0},
		{"conf/a.conf", loop.open, []string{"conf/c.conf:1: include: this makes conf/a.conf include itself", "included by conf/b/b.conf:2"}, 2},
		{"l/app.conf", func(string, bool) ([]byte, error) { return []byte("include l/app.conf"), nil },
			[]string{"more than 64 files", "does one include itself?"}, 0},
	} {
		_, err := load(tt.file, tt.open, vars{}.lookup)
		expectError(t, tt.file, err, tt.parts...)
		if n := strings.Count(fmt.Sprint(err), "included by"); n > tt.most {
			t.Errorf("%s: the error says %d times by which file it is included, want at most %d: %.300v", tt.file, n, tt.most, err)
		}
	}
	if _, err := load("conf/twice.conf", loop.open, vars{}.lookup); err != nil {
		t.Errorf("a file that is included twice, and not by itself: %v", err)
	}
}

// TestReferenceInAPart: in a part of a value, too, a reference is replaced, and
// what it stands for cannot leave its part.
func TestReferenceInAPart(t *testing.T) {
	env := vars{"HPW": "hunter2", "ODD": "p@ss/w:rd #1+%", "EMPTY": ""}
	for _, tt := range []struct{ value, want string }{
		{"127.0.0.1:6379,100,${HPW}", "127.0.0.1:6379,100,hunter2"},
		{"a${HPW}", "ahunter2"},
		{"${HPW},0", "hunter2,0"},
		{"${HPW}${HPW}", "hunter2hunter2"},
		{`"redis://:${HPW}@h/0"`, "redis://:hunter2@h/0"},
		{"redis://:${ODD}@h/0", "redis://:p%40ss%2Fw%3Ard%20%231%2B%25@h/0"},
		{"shop:${HPW}@tcp(${HOST||db}:3306)/shop", "shop:hunter2@tcp(db:3306)/shop"},
		{"${HPW||x},y${NOT_SET||z}", "hunter2,yz"},
		{"${NOT_SET||u:${HPW}@h}", "u:hunter2@h"},
		{"h:6379,100,${EMPTY}", "h:6379,100,"},
		{"h:6379,100,${NOT_SET||}", "h:6379,100,"},
	} {
		cfg, err := loadText("sessionon = true\nsessionprovider = redis\n[prod]\nsessionsavepath = "+tt.value, env)
		if err != nil || cfg.SavePath != tt.want {
			t.Errorf("Load of %s: %q, %v; want %q", tt.value, cfg.SavePath, err, tt.want)
		}
	}
	if u, err := url.Parse("redis://:p%40ss%2Fw%3Ard%20%231%2B%25@h/0"); err != nil {
		t.Error(err)
	} else if password, _ := u.User.Password(); password != env["ODD"] {
		t.Errorf("the password that arrives is %q, want %q", password, env["ODD"])
	}
	for _, tt := range []struct{ value, want string }{
		{"${HPW", "belongs to no ${NAME}"},
		{"redis://:${}@h", "belongs to no ${NAME}"},
		{"127.0.0.1:6379,100,${ODD}", "environment variable ODD has a character that separates"},
		{"shop:${ODD}@tcp(db:3306)/shop", "environment variable ODD has a character that separates"},
		{"redis://:${NOT_SET}@h", "is not set"},
	} {
		_, err := loadText("sessionon = true\n[prod]\nsessionsavepath = "+tt.value, env)
		expectError(t, "Load of "+tt.value, err, "app.conf:3: sessionsavepath", tt.want)
		for _, secret := range []string{"6379", "hunter2", "p@ss", "rd #1"} {
			if strings.Contains(fmt.Sprint(err), secret) {
				t.Errorf("the error shows the value: %v", err)
			}
		}
	}
	_, err := loadText("runmode = x${MODE}", nil)
	expectError(t, "Load with a run mode in parts", err, "app.conf:1: runmode", "is not set")
}
