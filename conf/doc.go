// Package conf reads a [session.Config] from a Beego app.conf ([Load]) or
// from environment variables ([FromEnv]), so that an operator can change where
// sessions are kept and how long they live without a new build.
//
// The keys are Beego's, with some more for what Beego has not; [Keys] lists
// them all with their values and defaults, and docs/config.md is that list.
// A key that is absent leaves its field alone, so that Config's own default
// holds. The one exception is sessionon: as in Beego, sessions are off unless
// it is true, and Config.Disabled is set.
//
// # The file
//
// A file is read as Beego reads it: keys and sections without regard to case;
// comments on lines of their own that begin with # or ; (behind a value these
// are part of it, so a password may have them); everything behind the first =
// is the value; quotes around it are dropped; of two lines with the same key
// in a section the later one counts; a byte order mark is skipped. A line
// include "other.conf" puts that file, found next to the including one, in its
// place.
//
// A value ${NAME} is that environment variable's, ${NAME||default} has a
// default for when it is unset or empty. A variable that is not set at all
// and has no default is an error. Unlike in Beego, which takes it as it is
// written, a part of a value can be one as well, such as the password in
// redis://:${PASSWORD}@host/0: in a URL its characters are escaped, elsewhere
// one that separates the parts of the value is an error.
//
// Keys before the first section, or in [default], hold always. Those in the
// section of the run mode override them, unless they are blank. The run mode
// is the environment variable BEEGO_RUNMODE, or else the key runmode, or else
// prod. Other sections are ignored, and so are all keys that do not begin with
// "session".
//
// # Values
//
// A blank value of a key that takes a text counts as absent; for any other key
// it is an error. A duration is a whole number of seconds, as in Beego, or a
// Go duration such as 90s or 24h. A boolean is what Beego takes: true, yes, y,
// t, on, 1 and their opposites, in any case.
//
// # Errors
//
// An unknown session key is an error that names the nearest known one, and so
// is a bad value, or two keys that contradict each other. All that is wrong is
// reported at once (errors.Join), each with file, line and key or with the
// name of the variable. No error shows a value, since a mistake can put a
// password anywhere.
package conf
