package main

const method = `## How it is measured

The same chi router and handlers run over each library, in one process, with a
request and a discarding ResponseWriter that are used again and again, so that
what differs is the library. In a **duel**, two libraries take turns of a few
milliseconds in random order, for hundreds of rounds or two seconds (60 rounds
or half a second in a quick run); each round gives the ratio of two neighbours,
so that what slows the machine slows both. A result is the median of the ratios
and, in brackets, their quartiles: half of the rounds were within them. In the
picture, the others stand as far from this library as their ratios say.
Before each duel every contender has shown that it does the work: the value
comes back, the cookie is valid, the record has changed. A 64 MB block in the
heap has the garbage collector run as seldom as in a server of that size.

- **bare** is the limit: chi and the bare driver call with the bytes that this
  library stores (a map under a RWMutex; os.ReadFile, WriteFile; redigo GET,
  SET EX, DEL; prepared SELECT data, UPDATE expires and data, INSERT, DELETE by
  primary key). It reads no cookie, checks no token and no expiry, compares no
  version, decodes, seals and sends nothing. Its connections have time-outs, as
  this library's have: without, a server that hangs would hang it for ever.
  Where there is no session to touch, it is chi alone.
- **with a token** it also makes a random token and sends a Set-Cookie, as every
  login and renewal must.
- **scs** is alexedwards/scs/v2 with its defaults: memstore, goredisstore,
  mysqlstore with interpolateParams, pgxstore.
- **gorilla** is gorilla/sessions with FilesystemStore; **redistore** the same
  with boj/redistore. They sign and do not encrypt.
- This library seals its records in files, Redis and the databases.

A **target** is judged by the quartiles, not by the median: it is met or missed
if both are on one side of it, and within its spread if it lies between them.
Until November 2026 some targets were multiples of a bare map in memory (3 × to
read and write, 2 × to log in, renew and log out). A map takes 0.1 µs of such a
request; a cookie, a hash, a context and a reading of the clock take 0.5,
whoever writes them, so these targets measured chi and were given up for ones
that can be felt: 1.6 × chi alone where the session is not used, 14 and 12 times
as fast as scs to read and to write, 2.5 × a bare login with a token.

`

const loadMethod = `Here each contender is a real net/http server on the loopback, in a process of
its own; another process is all the clients. A client is a connection that is
kept alive and a session of its own, and sends its next request when it has the
response to the one before. Store, servers and clients share this machine, so a
rate is there to be compared, and not what a server with a machine of its own
would do. The contenders take turns of a fraction of a second, in random order,
the first of which is to warm up; a ratio is that of neighbours, as in a duel.

- **Requests a second** are those of all clients, by the time from each one's
  first request to its last response. **p50**, **p99** and **p99.9** are how long
  a client waited, for its turn at the processors included.
- **CPU** is user and system time of the server process by its requests, net/http
  and the driver included, and neither clients nor store. **Allocated** is the same
  for bytes on its heap.
- A response that is not 200 is counted as a failure, and named in its row. Before
  the turns each session has returned what was written to it, and after them it
  holds as many writes as its client has made.
- **bare** finds the session's key in the Cookie header here, where many sessions
  are at work, and a login makes and sends one. Otherwise it is as above.
- Each pool has as many connections as this library's has by itself: 100 to Redis,
  32 to MariaDB, 16 to PostgreSQL. Go-redis and redistore would make 20 and 10.

`

const elsewhere = `## Measured elsewhere

- [goredis and rueidis](../scaling.md#what-it-costs) beside the bare go-redis and rueidis, with replicas, in a cluster
- [PostgreSQL](../backends/postgres.md) beside bare pgx, with a million sessions before and after a day;
  [MariaDB](../backends/mysql.md), its disk space and its sweep; [SQLite](../backends/sqlite.md) beside files
- [10,000 streams](../frameworks.md#websockets-and-streams) that watch their sessions
- [device-bound sessions](../device-bound.md), [traces and metrics](../observability.md)

`
