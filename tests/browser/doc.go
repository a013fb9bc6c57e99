// Package browser tests examples/login as people meet it: the program itself, as a
// process, and a real browser that clicks. It is in a module of its own, so that
// nothing of the browser reaches those who import the library.
//
//	make e2e                                  # installs Chromium, Firefox and axe-core where they are missing
//	go -C tests test -v -run TestFlash ./browser   # one test
//	CHROMIUM=/opt/chrome/chrome make e2e      # with this browser; FIREFOX=... likewise
//	AXE=/opt/axe-core-4.14.1.tgz make e2e     # with this axe-core, the version that axe.sum pins
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
// Every page is looked at with axe, in light and in dark, on a desk and on a
// phone: one finding fails the test.
//
// Whatever a page complains about fails its test: an error on the console, a
// violation of the content security policy, an issue of the developer tools.
package browser
