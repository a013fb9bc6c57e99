#!/bin/sh
# Installs Chromium and Firefox where they are missing, on Debian and Ubuntu,
# and a font for the screenshots.
set -eu

# found NAME...: one of these is in PATH.
found() {
	for name in "$@"; do
		command -v "$name" >/dev/null && return 0
	done
	return 1
}

# The names that the tests look for.
missing=
found "${CHROMIUM:-chromium}" chromium chromium-browser google-chrome google-chrome-stable || missing="$missing chromium fonts-dejavu-core"
found "${FIREFOX:-firefox-esr}" firefox-esr firefox || missing="$missing firefox-esr"
[ -n "$missing" ] || exit 0

cure="install them by hand (Debian: apt-get install$missing; macOS: brew install --cask chromium firefox), or set CHROMIUM and FIREFOX to the paths of a Chromium or Chrome and of a Firefox"
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
