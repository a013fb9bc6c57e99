// Package adoption has other session libraries make sessions in PostgreSQL and
// SQLite, and adopts them while their users go on: the libraries themselves, not
// what we think that they write.
package adoption
