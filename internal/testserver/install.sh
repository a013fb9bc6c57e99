#!/bin/sh
# Installs redis-server, mariadbd with Galera, PostgreSQL, pgbouncer, nginx and haproxy where
# they are missing, on Debian and Ubuntu. The tests start private servers of
# their own from the binaries, so the packages' services are kept from starting.
set -eu

# found NAME...: one of these is in PATH or where Debian puts daemons.
found() {
	for name in "$@"; do
		for dir in $(echo "$PATH" | tr : ' ') /usr/sbin /usr/local/sbin /opt/homebrew/bin; do
			[ -x "$dir/$name" ] && return 0
		done
	done
	return 1
}

# Debian keeps PostgreSQL's programs out of PATH.
found_postgres() {
	found initdb && return 0
	for dir in /usr/lib/postgresql/*/bin; do
		[ -x "$dir/initdb" ] && return 0
	done
	return 1
}

# Galera's is a library that mariadbd loads.
found_galera() {
	for library in /usr/lib/galera/libgalera_smm.so /usr/lib64/galera-4/libgalera_smm.so /usr/local/lib/libgalera_smm.so; do
		[ -e $library ] && return 0
	done
	return 1
}

missing=
[ -n "${REDIS_URL:-}" ] || found redis-server valkey-server || missing="$missing redis-server"
[ -n "${MYSQL_DSN:-}" ] || found mariadbd mysqld || missing="$missing mariadb-server"
if [ "$(uname)" = Linux ]; then
	found_galera || missing="$missing galera-4 rsync"
	found ip || missing="$missing iproute2"
fi
found_postgres || missing="$missing postgresql"
found pgbouncer || missing="$missing pgbouncer"
found nginx || missing="$missing nginx"
found haproxy || missing="$missing haproxy"
[ -n "$missing" ] || exit 0

cure="install them by hand (Debian, Ubuntu: apt-get install$missing; macOS: brew install redis mariadb postgresql pgbouncer nginx haproxy), or point REDIS_URL and MYSQL_DSN at servers"
if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
	echo "the tests need$missing, and there is no apt-get here, or you are not root: $cure" >&2
	exit 1
fi

# A policy of 101 forbids services to start (see invoke-rc.d(8)).
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
	printf '#!/bin/sh\nexit 101\n' >$policy
	chmod 755 $policy
	trap 'rm -f $policy' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
echo "installing$missing"
# shellcheck disable=SC2086
if ! { apt-get update -q && apt-get install -q -y --no-install-recommends $missing; } >"$log" 2>&1; then
	tail -n 20 "$log" >&2
	echo "could not install$missing: $cure" >&2
	exit 1
fi
rm -f "$log"
