package conf

import "strings"

// A lookup finds an environment variable, as os.LookupEnv does.
type lookup = func(name string) (string, bool)

const errPart = refusal("only a whole value can be ${NAME} or ${NAME||default}, and this one has ${ in a part of it; " +
	"put all of it into one variable, whose content is taken as it is, and write ${NAME}")

// expand replaces ${NAME} and ${NAME||default}, which must be the whole value,
// as Beego does. Unlike Beego it does not take a variable that is not set for
// an empty one: a DSN that did not arrive is not a DSN for the default. And a
// value with a reference somewhere in it, which Beego takes as it is written,
// is an error: nobody's password is "${PASSWORD}".
func expand(value string, env lookup) (string, error) {
	inner, ok := strings.CutPrefix(value, "${")
	if ok {
		inner, ok = strings.CutSuffix(inner, "}")
	}
	if !ok {
		if strings.Contains(value, "${") {
			return "", errPart
		}
		return value, nil
	}
	name, otherwise, hasDefault := strings.Cut(inner, "||")
	name = strings.TrimSpace(name)
	if name == "" || strings.ContainsAny(name, "${}=") {
		return "", errPart
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
