// Package browser tests examples/login as people meet it: the program itself, as a
// process, and a real browser that clicks. It is a module of its own, so that
// nothing of the browser reaches those who import the library.
//
//	make e2e                                  # installs Chromium and Firefox where they are missing
//	cd tests/browser && go test -run TestFlash -v       # one test
//	CHROMIUM=/opt/chrome/chrome make e2e      # with this browser; FIREFOX=... likewise
//	E2E_SCREENSHOTS=/tmp/pictures make e2e    # where screenshots go; default tests/browser/screenshots
//
// Most stories are told twice: over plain HTTP on localhost, and over TLS with
// a __Host- cookie. Most tests get a fresh profile in one browser that all
// share; those that close a browser, or need two, start their own.
//
// What browsers do differently, such as with two clicks on one button and with
// Secure cookies of localhost, is tested in Firefox, too: at a small shop in the
// test's own process.
//
// Whatever a page complains about fails its test: an error on the console, a
// violation of the content security policy, an issue of the developer tools.
package browser
