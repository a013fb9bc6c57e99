#!/usr/bin/env bash
# Does one thing in several modules: those that keep their dependencies from
# the root's have a go.mod of their own.
#
#	internal/modules.sh test promsession benchmarks       # go test -race
#	internal/modules.sh lint . tests                      # go mod tidy, verify, vet, staticcheck
#	COUNT=3 TIMEOUT=9m internal/modules.sh test tests     # go test's -count and -timeout
set -euo pipefail
cd "$(dirname "$0")/.."

verb=$1
shift
[ $# -gt 0 ] || { echo "usage: $0 test|lint DIR..." >&2; exit 2; }

lint() {
	go mod tidy -diff
	go mod verify
	go vet ./...
	go run "${STATICCHECK:-honnef.co/go/tools/cmd/staticcheck@v0.8.2}" ./...
}

# The tests in browsers are make e2e: they take minutes, and two programs of
# their own.
run_tests() {
	go test -race -count="${COUNT:-1}" -timeout "${TIMEOUT:-15m}" $(go list ./... | grep -v '/tests/browser$')
}

failed=()
for dir in "$@"; do
	[ -f "$dir/go.mod" ] || continue # a README beside the modules
	echo "== $dir: $verb"
	case $verb in
	lint) (cd "$dir" && lint) || failed+=("$dir") ;;
	test) (cd "$dir" && run_tests) || failed+=("$dir") ;;
	*) echo "$0: what is $verb?" >&2; exit 2 ;;
	esac
done
if [ ${#failed[@]} -gt 0 ]; then
	echo "failed: ${failed[*]}" >&2
	exit 1
fi
