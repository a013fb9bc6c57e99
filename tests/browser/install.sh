#!/bin/sh
# Installs Chromium and Firefox where they are missing, on Debian and Ubuntu,
# and a font for the screenshots; and fetches axe-core, which looks for what
# some people cannot use, into the cache of whoever runs it.
set -eu
cd "$(dirname "$0")"

# found NAME...: one of these is in PATH.
found() {
	for name in "$@"; do
		command -v "$name" >/dev/null && return 0
	done
	return 1
}

# axe-core comes as an npm package, pinned by its sum: in AXE, or in the cache
# that Go's os.UserCacheDir names.
axe=$(cut -d' ' -f3 axe.sum)
case $(uname) in
Darwin) cache=$HOME/Library/Caches/session-e2e ;;
*) cache=${XDG_CACHE_HOME:-$HOME/.cache}/session-e2e ;;
esac
axe_is_there() {
	[ -n "${AXE:-}" ] || sum_is_right "$cache"
}
sum_is_right() {
	[ -f "$1/$axe" ] && (cd "$1" && sha512 -c -) <axe.sum >/dev/null 2>&1
}
sha512() {
	if found sha512sum; then sha512sum "$@"; else shasum -a 512 "$@"; fi
}

# The names that the tests look for.
missing=
found "${CHROMIUM:-chromium}" chromium chromium-browser google-chrome google-chrome-stable || missing="$missing chromium fonts-dejavu-core"
found "${FIREFOX:-firefox-esr}" firefox-esr firefox || missing="$missing firefox-esr"
axe_is_there || found npm || missing="$missing npm"

cure="install them by hand (Debian: apt-get install$missing; macOS: brew install --cask chromium firefox, brew install node), or set CHROMIUM and FIREFOX to the paths of a Chromium or Chrome and of a Firefox, and AXE to that of $axe"
install_missing() {
	if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
		echo "the browser tests need$missing, and there is no apt-get here, or you are not root: $cure" >&2
		exit 1
	fi

	# What they pull in may have services; none of them is to start (a policy of
	# 101, see invoke-rc.d(8)).
	log=$(mktemp)
	policy=/usr/sbin/policy-rc.d
	if [ -e $policy ]; then
		trap 'rm -f "$log"' EXIT
	else
		trap 'rm -f "$log" $policy' EXIT
		printf '#!/bin/sh\nexit 101\n' >$policy
		chmod 755 $policy
	fi
	export DEBIAN_FRONTEND=noninteractive
	echo "installing$missing"
	# shellcheck disable=SC2086
	if ! { apt-get update -q && apt-get install -q -y --no-install-recommends $missing; } >"$log" 2>&1; then
		tail -n 20 "$log" >&2
		echo "could not install$missing: $cure" >&2
		exit 1
	fi
}
[ -z "$missing" ] || install_missing

# fetch_axe leaves the package in the cache once its sum is known to be right.
# npm's pack runs none of its scripts.
fetch_axe() {
	echo "fetching $axe"
	version=${axe#axe-core-}
	new=$(mktemp -d)
	if ! (cd "$new" && npm pack --ignore-scripts --silent "axe-core@${version%.tgz}") >/dev/null || ! sum_is_right "$new"; then
		rm -rf "$new"
		echo "could not fetch $axe, or its sum is not that in tests/browser/axe.sum: set AXE to the path of that package" >&2
		exit 1
	fi
	mkdir -p "$cache"
	mv "$new/$axe" "$cache/"
	rm -rf "$new"
}
axe_is_there || fetch_axe
