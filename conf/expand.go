package conf

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// A lookup finds an environment variable, as os.LookupEnv does.
type lookup = func(name string) (string, bool)

const (
	errPart  = refusal("a ${ in it belongs to no ${NAME} or ${NAME||default}; write one of these, or put all of the value into one variable")
	errUnset = refusal("the environment variable that it refers to is not set; set it, or write ${NAME||default}")
)

// reference is one within a value.
var reference = regexp.MustCompile(`\$\{([^${}=|]+)(\|\|([^${}]*))?\}`)

// expand replaces ${NAME} and ${NAME||default}. Where they are the whole value
// the variable's content is taken as it is, as Beego does. Unlike Beego, expand
// does not take a variable that is not set for an empty one: a DSN that did not
// arrive is not a DSN for the default. A reference in a part of a value, which
// Beego takes as it is written, is replaced as well; see expandPart.
func expand(value string, env lookup) (string, error) {
	inner, ok := whole(value)
	if !ok {
		return expandParts(value, env)
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
		return "", errUnset
	}
	return "", nil
}

// whole returns what is inside of the ${ and } of a value that is one
// reference, whose default may have others in it.
func whole(value string) (inner string, ok bool) {
	inner, ok = strings.CutPrefix(value, "${")
	if !ok {
		return "", false
	}
	depth := 1
	for i := range inner {
		switch {
		case strings.HasPrefix(inner[i:], "${"):
			depth++
		case inner[i] == '}':
			depth--
		}
		if depth == 0 {
			return inner[:i], i == len(inner)-1
		}
	}
	return "", false
}

// expandParts replaces the references in the parts of a value.
func expandParts(value string, env lookup) (string, error) {
	if strings.Contains(reference.ReplaceAllLiteralString(value, ""), "${") {
		return "", errPart
	}
	isURL := strings.Contains(value, "://")
	var failed error
	expanded := reference.ReplaceAllStringFunc(value, func(ref string) string {
		part, err := expandPart(reference.FindStringSubmatch(ref), isURL, env)
		if err != nil && failed == nil {
			failed = err
		}
		return part
	})
	return expanded, failed
}

// expandPart returns what stands in the place of a reference in a part of a
// value. A password must not be able to end that part: in a URL its characters
// are escaped, and elsewhere one that separates parts is an error.
func expandPart(match []string, isURL bool, env lookup) (string, error) {
	name, hasDefault, otherwise := strings.TrimSpace(match[1]), match[2] != "", strings.TrimSpace(match[3])
	got, set := env(name)
	if got = strings.TrimSpace(got); got == "" {
		if !set && !hasDefault {
			return "", errUnset
		}
		return otherwise, nil // written in the file, and meant to stand there
	}
	if isURL {
		return strings.ReplaceAll(url.QueryEscape(got), "+", "%20"), nil
	}
	if strings.ContainsAny(got, " ,:;@/()?&#=\"'") {
		return "", refusal(fmt.Sprintf("the content of the environment variable %s has a character that separates the parts of this value; "+
			"write the value as a URL, in which it is escaped, or put all of it into one variable", name))
	}
	return got, nil
}
