#!/usr/bin/env bash
# Does one thing in several modules: those that keep their dependencies from
# the root's have a go.mod of their own. JOBS modules are done side by side (3
# unless set), in the order in which they are named, and each one's output is
# printed when it is done.
#
#	internal/modules.sh test . promsession                # go test -race
#	internal/modules.sh lint . tests                      # go mod tidy, verify, vet, staticcheck
#	COUNT=3 TIMEOUT=9m internal/modules.sh test tests     # go test's -count and -timeout
set -euo pipefail
cd "$(dirname "$0")/.."

verb=$1
shift
[ $# -gt 0 ] || { echo "usage: $0 test|lint DIR..." >&2; exit 2; }
case $verb in lint | test) ;; *) echo "$0: what is $verb?" >&2; exit 2 ;; esac

export GOFLAGS=-tags=servers # the tests that need one

do_lint() {
	go mod tidy -diff &&
		go mod verify &&
		go vet ./... &&
		go run "${STATICCHECK:-honnef.co/go/tools/cmd/staticcheck@v0.8.2}" ./...
}

# SQLite is C, translated: a check of each of its pointers takes a fifth of its
# time. (Without -race it would take half; but the linker may take a generic
# function of the standard library from there for all, and then misses that it
# synchronises.)
sqlite=-gcflags=modernc.org/...=-d=checkptr=0

# The tests in browsers are make e2e, and what installs a release is make
# release-check: they take minutes, and programs of their own. go vet is make
# lint's. Nobody debugs these programs: without symbols (-s) they are linked in two
# thirds of the time, and stack traces and races are told as before.
do_test() {
	go test -race $sqlite -count="${COUNT:-1}" -vet=off -ldflags=-s -timeout "${TIMEOUT:-15m}" -p 3 \
		$(go list ./... | grep -vE '/tests/(browser|release)$' | longest_first)
}

# longest_first puts the packages that take longest before the others: nobody
# waits for one that began last.
longest_first() {
	awk 'BEGIN { n = split("behaviour session clusters processes file redis model faults drivers", longest) }
		{ for (i = 1; i <= n; i++) if ($0 ~ "/" longest[i] "$") { first[i] = first[i] $0 "\n"; next }
		rest = rest $0 "\n" }
		END { for (i = 1; i <= n; i++) printf "%s", first[i]; printf "%s", rest }'
}

# The race detector waits a second at the end of every program, for races that
# were about to be found; tests end what they start.
export GORACE="${GORACE:-atexit_sleep_ms=0}"

# Servers keep their data in memory, where there is room for all of them.
room=$(df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 { print $4 }')
if [ -z "${TESTSERVER_DIR-}" ] && [ -w /dev/shm ] && [ "${room:-0}" -gt 4000000 ]; then
	export TESTSERVER_DIR=/dev/shm
fi

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# one does a module, prints what came of it, and leaves a note if it failed.
one() {
	local dir=$1 log result=
	log=$out/log-$(tr / + <<<"$dir")
	if ! (cd "$dir" && "do_$verb") >"$log" 2>&1; then
		result=" FAILED"
		echo "$dir" >>"$out/failed"
	fi
	flock "$out" cat <(echo "== $dir: $verb$result") "$log"
}

# What the modules share is compiled once, before two of them want it at once.
if [ "$verb" = test ]; then
	go build -race $sqlite . ./backend/... ./internal/behaviour
fi

for dir in "$@"; do
	[ -f "$dir/go.mod" ] || continue # a README beside the modules
	while [ "$(jobs -rp | wc -l)" -ge "${JOBS:-3}" ]; do wait -n || true; done
	one "$dir" &
done
wait
if [ -f "$out/failed" ]; then
	echo "failed: $(xargs <"$out/failed")" >&2
	exit 1
fi
