package conf

import "strings"

// A lookup finds an environment variable, as os.LookupEnv does.
type lookup = func(name string) (string, bool)

// expand replaces ${NAME} and ${NAME||default}, which must be the whole value,
// as Beego does. Unlike Beego it does not take a variable that is not set for
// an empty one: a DSN that did not arrive is not a DSN for the default.
func expand(value string, env lookup) (string, error) {
	inner, ok := strings.CutPrefix(value, "${")
	if ok {
		inner, ok = strings.CutSuffix(inner, "}")
	}
	if !ok {
		return value, nil
	}
	name, otherwise, hasDefault := strings.Cut(inner, "||")
	name = strings.TrimSpace(name)
	if name == "" || strings.ContainsAny(name, "${}=") {
		return "", refusal("only a whole value can be ${NAME} or ${NAME||default}")
	}
	got, set := env(name)
	got = strings.TrimSpace(got)
	switch {
	case got != "":
		return got, nil
	case hasDefault:
		return expand(strings.TrimSpace(otherwise), env)
	case !set:
		return "", refusal("the environment variable that it refers to is not set; set it, or write ${NAME||default}")
	}
	return "", nil
}
