// Package drivers has the stores of backend/postgres and backend/sqlite do what
// every store must on drivers of database/sql that are not ours: lib/pq, and
// mattn/go-sqlite3, which needs cgo.
package drivers
