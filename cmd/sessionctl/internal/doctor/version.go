package doctor

import (
	"regexp"
	"strconv"
)

var versionPattern = regexp.MustCompile(`^(\d+)\.(\d+)`)

// older reports whether version is below major.minor; known is false if it is
// not a version.
func older(version string, major, minor int) (old, known bool) {
	parts := versionPattern.FindStringSubmatch(version)
	if parts == nil {
		return false, false
	}
	gotMajor, _ := strconv.Atoi(parts[1]) // digits
	gotMinor, _ := strconv.Atoi(parts[2])
	return gotMajor < major || gotMajor == major && gotMinor < minor, true
}

func judgeVersion(server, version string, major, minor int) Result {
	old, known := older(version, major, minor)
	switch {
	case !known:
		return warn("", "the server is %s, of unknown version", server)
	case old:
		return fail("upgrade the server: "+server+" "+strconv.Itoa(major)+"."+strconv.Itoa(minor)+" is the oldest that sessions are kept safely in",
			"the server is %s %s, which is too old", server, version)
	}
	return ok("%s %s", server, version)
}

// judgeTLS looks at how the connection to the server is protected.
func judgeTLS(tls, local bool, cure string) Result {
	switch {
	case tls:
		return ok("encrypted")
	case local:
		return ok("not encrypted, and does not leave this machine")
	}
	return warn(cure, "the connection leaves this machine unencrypted: the password and the users' names can be read on the way (values cannot, they are sealed)")
}
