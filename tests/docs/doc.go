// Package docs holds the tests that keep README.md and docs to the code: every
// Go block in them is parsed and type-checked against the module, and every
// relative link leads to a file.
//
// A block that begins with a package clause is checked as it is. Any other is
// a fragment: declarations, or statements, which are put into a function.
// Fragments get the imports of the packages that they name (see packages in
// block_test.go) unless they have imports of their own, and need not use what
// they declare. What they take from their surroundings stands in a comment
// before the block, as parameters:
//
//	<!-- go: s *session.Session, r *http.Request -->
//
// Code of other libraries is fenced as text.
package docs
