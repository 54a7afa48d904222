#!/bin/bash
# scripts/flamegraph from outside: exit codes, one line a refusal, nothing replaced that is not its
# own; and a small run on this kernel.
#   test_cli.sh SOURCE FOLDER-OF-BINARIES

set -u
flamegraph=$1/scripts/flamegraph bin=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
failures=0

complain()
{
	echo "test_cli.sh: $1"
	failures=$((failures + 1))
}

# expect CODE TEXT ARGUMENT...
expect()
{
	local code=$1 text=$2 status=0 said

	shift 2
	said=$("$flamegraph" "$@" 2>&1 >"$folder/stdout") || status=$?
	if [ $status != "$code" ] || [[ $said != *"$text"* ]] ||
		{ [ "$code" != 0 ] && [ "$(wc -l <<<"$said")" != 1 ]; }; then
		complain "$*: exit code $status, wanted $code and '$text': $said"
	fi
}

expect 0 '' --help
grep -q 'scripts/flamegraph PATH_A PATH_B' "$folder/stdout" || complain 'no usage'
# Every option of the help is taken, and the other way round.
diff <(grep -oE '^ +--[a-z-]+' "$folder/stdout" | tr -d ' ' | sort -u) \
	<(sed -n '/^while/,/^done/p' "$flamegraph" | grep -oE -- '--[a-z]+(-[a-z]+)*' | sort -u |
		grep -vx -- --help) || complain 'the help and the options differ'
expect 2 'two accept paths are needed'
expect 2 'two accept paths are needed' epoll
expect 2 'two accept paths are needed' epoll dup direct
expect 2 'epol is no accept path that is drawn' epol dup
expect 2 'the two paths are the same' dup dup
expect 2 'unknown option --nonsense' epoll dup --nonsense
expect 2 '--turns needs a value' epoll dup --turns
expect 2 '--turns 0: a number from 1 to 100' epoll dup --turns 0
expect 2 '--connections 5x: a number' epoll dup --connections 5x
expect 2 '--unknown-max 101: a number' epoll dup --unknown-max 101
expect 2 '--where moon: auto, native or guest' epoll dup --where moon
expect 2 '--flavour sweet: fast or lockstat' epoll dup --flavour sweet
expect 2 '--fd-table none: shared or private' epoll dup --fd-table none
expect 2 '--for-results names the paths' --for-results epoll dup
expect 1 "$folder/no/accept-server is not built" epoll direct --bin "$folder/no" --out "$folder/x"

mkdir "$folder/mine"
echo treasure >"$folder/mine/file"
expect 1 'holds no flame graphs' epoll direct --bin "$bin" --out "$folder/mine"
[ "$(cat "$folder/mine/file")" = treasure ] || complain 'a folder was replaced that is not its own'
expect 1 'is there and holds no flame graphs' epoll direct --bin "$bin" --out "$folder/mine/file"

[ $failures = 0 ] || exit 1
for tool in perf setpriv perl; do
	command -v $tool >/dev/null || { echo "skipped: no $tool here"; exit 77; }
done
[ -e /usr/share/perl5/Devel/NYTProf/flamegraph.pl ] || command -v flamegraph.pl >/dev/null ||
	{ echo 'skipped: no flamegraph.pl here'; exit 77; }
perf record -q -e cpu-clock -o "$folder/try" true 2>"$folder/said" ||
	{ echo "skipped: perf may not sample here: $(tail -n 1 "$folder/said")"; exit 77; }

out=$folder/set
"$flamegraph" epoll multishot --where native --bin "$bin" --out "$out" --connections 3000 --turns 2 \
	2>"$folder/said" || { cat "$folder/said"; complain 'a small run failed'; }
for file in epoll.svg multishot.svg epoll-fd-table.svg multishot-fd-table.svg epoll-to-multishot.svg \
	multishot-to-epoll.svg epoll.folded.gz multishot.folded.gz summary.json; do
	[ -s "$out/$file" ] || complain "no $file"
done
grep -q '[0-9.]* % with an \[unknown\] frame' "$folder/said" || complain 'the share of [unknown] was not printed'
gzip -cd "$out/epoll.folded.gz" | grep -q '__x64_sys_accept4_\[k\]' || complain 'no frame of the kernel'
gzip -cd "$out/multishot.folded.gz" | grep -q 'thread_main;' || complain 'no frame of the server'
python3 - "$out" <<'PYTHON' || complain 'the summary is not what it should be'
import gzip, json, sys
summary = json.load(open(f"{sys.argv[1]}/summary.json"))
assert summary["schema"] == "accept-flames/1" and summary["pair"] == ["epoll", "multishot"], summary
for path in summary["paths"]:
    assert path["connections"] == 3000, path
    lines = gzip.open(f"{sys.argv[1]}/{path['folded']}", "rt").read().splitlines()
    assert path["samples"] == sum(int(line.rsplit(" ", 1)[1]) for line in lines) > 0, path
    under = path["under"]
    assert under["fd_table"]["samples"] == sum(under[p]["samples"] for p in ("allocation", "close", "replace"))
    assert under["fd_table"]["low"] <= under["fd_table"]["per_1000_connections"] <= under["fd_table"]["high"]
PYTHON
# A run that fails leaves the old set as it is.
# Here perf has forgotten the name of a function that most samples have.
mkdir "$folder/path"
printf '#!/bin/bash\n[ "$1" = script ] || exec %q "$@"\n%q "$@" | sed "s/ thread_main$/ [unknown]/"\n' \
	"$(command -v perf)" "$(command -v perf)" >"$folder/path/perf"
chmod +x "$folder/path/perf"
before=$(stat -c %i "$out/summary.json")
PATH=$folder/path:$PATH "$flamegraph" epoll multishot --where native --bin "$bin" --out "$out" \
	--connections 1000 --turns 1 2>"$folder/said" && complain 'samples without names passed'
grep -q 'have an \[unknown\] frame, more than --unknown-max 2' "$folder/said" || complain "$(cat "$folder/said")"
[ "$(stat -c %i "$out/summary.json")" = "$before" ] || complain 'a run that failed replaced the set'

echo "$failures failures"
[ $failures = 0 ]
