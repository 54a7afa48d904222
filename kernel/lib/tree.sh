# Sourced: unpacks the kernel's source and brings it to the state that a set of patches asks for.
#
# There is one tree for each source, below the cache, and the patches in it are swapped in place, so
# that only what a patch touches is compiled again. Callers hold the lock "kernel" meanwhile. The
# file "state" says what is applied; it is absent while that is unknown, and then the tree is
# unpacked anew.

# source_id PATH: a short name for the contents of a tarball or a tree
source_id()
{
	if [ -d "$1" ]; then
		(cd "$1" && find . -name .git -prune -o -type f -printf '%p %s %T@\n' | sort) | hash_of
		return
	fi
	local memo
	memo=$CACHE/sources/$(stat -c '%i-%s-%Y' -- "$1").id
	if [ ! -s "$memo" ]; then
		mkdir -p "$CACHE/sources"
		hash_of "$1" >"$memo.$$"
		mv "$memo.$$" "$memo"
	fi
	cat "$memo"
}

# unpack_source PATH DIR
unpack_source()
{
	need_space "$CACHE" 8000
	rm -rf "$2.partial"
	mkdir -p "$2.partial"
	say "unpacking ${1##*/}"
	if [ -d "$1" ]; then
		cp -a "$1/." "$2.partial/"
	else
		tar -x -f "$1" -C "$2.partial" --strip-components=1 || {
			rm -rf "$2.partial"
			die "$1 does not unpack"
		}
	fi
	rm -rf "$2"
	mv "$2.partial" "$2"
}

# apply_patches TREE APPLIED PATCH...: with no fuzz, each whole or not at all; keeps them in the folder APPLIED, in their
# order
apply_patches()
{
	local tree=$1 applied=$2 patch n=0
	shift 2

	for patch; do
		patch -d "$tree" -p1 -s -F0 --no-backup-if-mismatch --dry-run <"$patch" >&2 &&
			patch -d "$tree" -p1 -s -F0 --no-backup-if-mismatch <"$patch" >&2 ||
			return 1
		n=$((n + 1))
		cp -- "$patch" "$applied/$(printf %03d $n)-${patch##*/}"
	done
}

# unapply_patches TREE APPLIED: takes them out again, the last one first; fails if that cannot be
unapply_patches()
{
	local patch

	for patch in $(list_patches "$2" | sort -r); do
		patch -d "$1" -p1 -s -R -F0 --no-backup-if-mismatch <"$patch" >&2 || return 1
		rm -f "$patch"
	done
}

# note_times DIR LIST PATCH...: keeps a list of the files that the patches touch, with their
# contents and times
note_times()
{
	local dir=$1 list=$2 file
	shift 2

	sed -n 's:^+++ b/\([^[:blank:]]*\).*:\1:p' "$@" </dev/null | sort -u | while read -r file; do
		[ ! -f "$dir/$file" ] || printf '%s %s %s\n' "$(hash_of "$dir/$file")" "$(stat -c @%.9Y "$dir/$file")" "$file"
	done >"$list"
}

# restore_times DIR LIST: a file that is as it was is not to be compiled again, nor is, if it is a
# header, half of the kernel
restore_times()
{
	local hash time file

	while read -r hash time file; do
		[ "$(hash_of "$1/$file" 2>/dev/null)" != "$hash" ] || touch -d "$time" "$1/$file"
	done <"$2"
}

# The series of patches/, in the order in which they depend on each other: one is built on those
# before it.
ALL_SERIES='dup exchange'

# series_patches SERIES: the patches of that one and of those it is built on, in the order they apply
series_patches()
{
	local series

	for series in $ALL_SERIES; do
		list_patches "$KERNEL_DIR/patches/$series"
		[ "$series" != "$1" ] || return 0
	done
}

# check_series SERIES: a usage error unless there is one of that name
check_series()
{
	[[ " $ALL_SERIES " == *" $1 "* ]] || usage_error "--series $1: one of $ALL_SERIES"
}

# list_patches DIR: without the cover letter
list_patches()
{
	find "$1" -maxdepth 1 -name '*.patch' ! -name '0000-*' | sort
}

# prepare_tree SOURCE PATCH...: sets tree to a tree of SOURCE with the patches applied
prepare_tree()
{
	local source=$1 folder patches applied
	shift

	need patch tar xz
	folder=$CACHE/trees/$(source_id "$source")
	tree=$folder/linux
	patches=$(hash_of "$@" </dev/null)
	if [ "$(cat "$folder/state" 2>/dev/null)" = "$patches" ]; then
		return
	fi

	mkdir -p "$folder/applied"
	rm -f "$folder/times"
	if [ -f "$folder/state" ]; then
		rm -f "$folder/state"
		readarray -t applied < <(list_patches "$folder/applied")
		note_times "$tree" "$folder/times" ${applied[@]+"${applied[@]}"}
		unapply_patches "$tree" "$folder/applied" || rm -rf "$tree"
	else
		rm -rf "$tree"
	fi
	rm -f "$folder/applied"/*
	[ -d "$tree" ] || unpack_source "$source" "$tree"
	if ! apply_patches "$tree" "$folder/applied" "$@"; then
		unapply_patches "$tree" "$folder/applied" && hash_of </dev/null >"$folder/state" || rm -rf "$tree"
		die "the patches do not apply to ${source##*/}"
	fi
	[ ! -f "$folder/times" ] || restore_times "$tree" "$folder/times"
	echo "$patches" >"$folder/state"
}
