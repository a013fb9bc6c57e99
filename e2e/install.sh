#!/bin/sh
# Installs Chromium where there is none, on Debian and Ubuntu, and a font for
# the screenshots.
set -eu

# The names that TestMain looks for.
for name in "${CHROMIUM:-chromium}" chromium chromium-browser google-chrome google-chrome-stable; do
	command -v "$name" >/dev/null && exit 0
done

cure="install it by hand (Debian: apt-get install chromium; macOS: brew install --cask chromium), or set CHROMIUM to the path of a Chromium or Chrome"
if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
	echo "the browser tests need Chromium, and there is no apt-get here, or you are not root: $cure" >&2
	exit 1
fi

export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
echo "installing chromium"
if ! { apt-get update -q && apt-get install -q -y --no-install-recommends chromium fonts-dejavu-core; } >"$log" 2>&1; then
	tail -n 20 "$log" >&2
	echo "could not install chromium: $cure" >&2
	exit 1
fi
