#!/usr/bin/env bash
# Makes a release of the commit that is checked out: the tag of the root, and of
# each module beside it a commit and a tag on which go install MODULE@VERSION works.
#
#	internal/release.sh v0.1.0
#
# In the checkout, a module beside the root finds the root by a replace line, so that
# both change together. A released one must not: go install refuses it, and a replaced
# version may not exist. So each of these commits takes the lines out and requires the
# modules that were tagged before it, with their hashes in go.sum. The commits are on no
# branch; what is checked out stays as it is. Nothing is pushed: the last line says how.
# (tests/release runs this in a clone and installs sessionctl from what comes of it.)
set -euo pipefail
cd "$(dirname "$0")/.."

root=github.com/chisession/session
# In an order in which no module requires a later one.
modules=(backend/goredis backend/postgres backend/rueidis backend/sqlite
	promsession otelsession ginsession echosession devicename cmd/sessionctl)

fail() { echo "$0: $*" >&2; exit 1; }

version=${1-}
[[ $version =~ ^v[01]\.[0-9]+\.[0-9]+(-[0-9A-Za-z.]+)?$ ]] || fail "say which version, such as v0.1.0 (from v2 on a module has another path)"
[ -z "$(git status --porcelain)" ] || fail "commit first: what is released is a commit"
grep -qF "## [${version#v}]" CHANGELOG.md || fail "the changelog has no section [${version#v}]"

tags=("$version")
for dir in "${modules[@]}"; do tags+=("$dir/$version"); done
for tag in "${tags[@]}"; do
	! git rev-parse -q --verify "refs/tags/$tag" >/dev/null || fail "there is a tag $tag already"
done

# What is tagged here is what the go command finds at the module's address; all other
# modules it has, or gets as ever. Its cache is thrown away: versions are not final
# before they are pushed.
cache=$(go env GOMODCACHE)
work=$(mktemp -d)
began=$(git rev-parse HEAD)
git worktree add -q --detach "$work/tree" "$began"
done=
clean() {
	git worktree remove --force "$work/tree"
	rm -rf "$work"
	[ -n "$done" ] || for tag in "${tags[@]}"; do git tag -d "$tag" >/dev/null 2>&1 || true; done
}
trap clean EXIT
export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0="url.file://$PWD.insteadOf" GIT_CONFIG_VALUE_0="https://$root"
export GOPRIVATE="$root,$root/*" GOPROXY="file://$cache/cache/download,$(go env GOPROXY)"
export GOMODCACHE="$work/cache" GOFLAGS="-modcacherw -mod=mod" GOWORK=off

git tag "$version" "$began"
for dir in "${modules[@]}"; do
	cd "$work/tree/$dir"
	for line in $(go list -m -f '{{if .Replace}}{{.Path}}{{end}}' all); do
		go mod edit -dropreplace="$line" -require="$line@$version"
	done
	go mod tidy
	git diff --quiet -- . || git commit -q -m "$dir: $version" -- . # devicename requires no other module of these
	git tag "$dir/$version"
	cd - >/dev/null
done
done=yes
echo "tagged $version of ${#modules[@]} modules and the root; now: git push origin ${tags[*]}"
