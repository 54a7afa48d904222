# Sourced by the scripts of kernel/ and scripts/: where things are cached, how errors are said.
# Data goes to stdout, everything a person reads goes to stderr.

export LC_ALL=C.UTF-8
LIB_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
KERNEL_DIR=$(dirname "$LIB_DIR")
[ -n "${HOME:-}" ] || { unset HOME; export HOME=~; } # services have none; the user's entry has
CACHE=${ACCEPT_DUP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/accept-dup}
KERNEL_SERIES=7.3

say()
{
	printf '%s: %s\n' "${0##*/}" "$*" >&2
}

die()
{
	say "$*"
	exit 1
}

usage_error()
{
	say "$*; see $0 --help"
	exit 2
}

# print_help FILE: the comment a script opens with is its help text
print_help()
{
	sed -n '2,/^$/{s/^# \{0,1\}//p}' "$1"
}

# need TOOL...: stops unless every tool is installed
need()
{
	local tool missing=

	for tool; do
		command -v "$tool" >/dev/null || missing="$missing $tool"
	done
	[ -z "$missing" ] || die "missing:$missing; run scripts/setup"
}

# need_space DIR MIB: stops unless the file system of DIR has that much left
need_space()
{
	local have

	have=$(df -Pm "$1" | awk 'NR == 2 { print $4 }')
	[ "$have" -ge "$2" ] || die "$1 has $have MiB free, $2 MiB are needed; free some or set ACCEPT_DUP_CACHE"
}

# hash_of [FILE...]: one short name for their contents (or for stdin)
hash_of()
{
	cat -- "$@" | sha256sum | cut -c1-16
}

# fill_markers NAME NEW FILE: what stands in FILE between the lines <!-- NAME --> and <!-- end of NAME -->
# becomes the contents of NEW; the file is replaced whole or not at all
fill_markers()
{
	awk -v name="$1" -v new="$2" '
		$0 == "<!-- " name " -->" { print; while ((getline line <new) > 0) print line; skip = 1; next }
		$0 == "<!-- end of " name " -->" { skip = 0 }
		!skip { print }' "$3" >"$3.partial.$$"
	chmod --reference="$3" "$3.partial.$$"
	mv "$3.partial.$$" "$3"
}

make_cache()
{
	[[ $CACHE == /* ]] || die "the cache $CACHE is no absolute path; set ACCEPT_DUP_CACHE to one"
	mkdir -p "$CACHE" 2>/dev/null && [ -w "$CACHE" ] ||
		die "cannot write to the cache $CACHE; set ACCEPT_DUP_CACHE"
}

# lock NAME: one at a time; held until the script ends. Children started in the background must
# close descriptor 9, or they hold it too.
lock()
{
	mkdir -p "$CACHE/locks"
	exec 9>"$CACHE/locks/$1"
	flock -n 9 && return
	say "waiting for another run that holds $CACHE/locks/$1"
	flock 9
}

# lock_checkout: one run of scripts/test or scripts/bench at a time in this folder's build/. What it
# starts, ends before it does, and may start scripts of its own.
lock_checkout()
{
	[ "${ACCEPT_DUP_LOCKED:-}" != "$PWD" ] || return 0
	mkdir -p build 2>/dev/null && : 2>/dev/null >>build/.lock || die "cannot write to $PWD/build"
	exec 8>build/.lock
	if ! flock -n 8; then
		say "waiting for another run in $PWD"
		flock 8
	fi
	export ACCEPT_DUP_LOCKED=$PWD
}
