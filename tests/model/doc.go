// Package model checks the library against a small sequential model of what a
// session is. Concurrent histories of requests (by several managers on one
// store, with delays and faults at every store call) are recorded and handed
// to a linearizability checker, porcupine: is there an order of the operations,
// true to the clock, in which each of them does what the model says?
//
// # The model
//
// A session is alive or dead, and dead for ever once it is; it has one token
// that opens it, its values, and an expiry that only moves on. These are the
// operations, each at one instant between its call and its return:
//
//   - load: a request comes with a token and sees all the values, if the
//     session is alive and the token is its own; or else nothing.
//   - commit: what a request did, at once. Its sets and deletes are laid over
//     the values that are there (Clear and Pop delete the keys that the request
//     saw); Renew and SetUser put a new token in the old one's place; Destroy
//     ends the session. With an old token, or on a dead session, it does
//     nothing, and the response carries no cookie.
//   - update (Update, flash.Take): a commit that has also seen the values that
//     it was laid over, exactly.
//   - revoke (Revoke, RevokeUser, expiry): ends the session.
//
// An operation whose error leaves its outcome open may have happened or not,
// but not twice: the library's own retries after a lost reply must not show.
// (A handler that goes on after such an error has its changes stored once more
// at its end; that is an operation of its own.)
//
// So the model holds P1 (no update is lost), P2 (logout is final, and nobody's
// cookie is replaced or cleared by a request that came late) and P9 (a flash
// message is shown once: taking is part of the model, and the history is
// searched for a message shown twice).
//
// # Schedules
//
// [Deterministic] schedules let one request run at a time, from one store call
// to the next, in an order that the seed decides: a seed replays its history
// exactly. In [Free] ones the requests run as they like, on the real
// concurrency of manager and store; the seed decides what they do and what
// goes wrong.
package model
