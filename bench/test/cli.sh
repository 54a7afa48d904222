#!/bin/bash
# The command line from outside: exit codes, one line a refusal, nothing half-written.
#   cli.sh ACCEPT-BENCH README

set -u
bench=$1 readme=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
failures=0

# expect CODE TEXT ARGUMENT...: exit code, and one line on stderr with TEXT in it
expect()
{
	local code=$1 text=$2 status=0 said

	shift 2
	said=$("$bench" "$@" 2>&1 >"$folder/stdout") || status=$?
	if [ $status != "$code" ] || [[ $said != *"$text"* ]] ||
		{ [ "$code" != 0 ] && [ "$(wc -l <<<"$said")" != 1 ]; }; then
		echo "accept-bench $*: exit code $status, wanted $code and '$text': $said"
		failures=$((failures + 1))
	fi
}

# complain WHAT
complain()
{
	echo "cli.sh: $1"
	failures=$((failures + 1))
}

for command in run experiments report compare preflight storm waits instructions dearer bare; do
	expect 0 '' $command --help
	grep -q "^usage: accept-bench $command" "$folder/stdout" || complain "no usage of $command"
	expect 2 "unknown option '--nonsense'" $command --nonsense
	expect 2 "unexpected argument 'operand'" $command operand
done
expect 0 '' --help
expect 0 '' --version
expect 2 "unknown command 'nonsense'" nonsense

# What the README says of the experiments is what their table says.
expect 0 '' experiments
diff <(sed -n '/^| experiment /,/^$/{/^|/p}' "$readme") "$folder/stdout" ||
	complain "the table of experiments in $readme is not what accept-bench experiments prints"

expect 2 "--connect: '' is not valid" storm
for address in 127.0.0.1 127.0.0.1:0 127.0.0.1:65536 127.0.0.1:x 300.0.0.1:80 ::1:80 host:80; do
	expect 2 "--connect: '$address' is not valid" storm --connect $address
done
expect 2 "--concurrency: '0' is not valid; it takes 1 to" storm --concurrency 0
expect 2 "needs a --duration" storm --connect 127.0.0.1:1 --connections 0
expect 2 "at least --threads" storm --connect 127.0.0.1:1 --threads 4 --concurrency 2
expect 2 "never closes first" storm --connect 127.0.0.1:1 --protocol echo
expect 2 "--path must" storm --connect 127.0.0.1:1 --path index.html

expect 2 "--pid 0: a process to watch is needed" waits
expect 2 "--pid: '0' is not valid" waits --pid 0
expect 1 "--pid 4194304: No such process" waits --pid 4194304

expect 2 "--server is needed" run --out "$folder/r"
expect 2 "--out is needed" run --server /bin/true
expect 2 "cannot execute '$folder/none'" run --server "$folder/none" --out "$folder/r"
expect 2 "--paths: 'epol' is not valid" run --paths epol
expect 2 "--resume needs the --seed" run --server /bin/true --out "$folder/r" --resume
expect 1 "cannot write to $folder/no/r: No such file" run --server /bin/true --out "$folder/no/r"
echo 'no record' >"$folder/foreign"
expect 1 "will not add to this file" run --server /bin/true --out "$folder/foreign"
[ "$(cat "$folder/foreign")" = 'no record' ] || complain 'the file was changed'
expect 1 "cannot read $folder: it is not a regular file" report --in "$folder" --out "$folder/out"
mkfifo "$folder/pipe"
for file in "$folder/pipe" /dev/full /dev/zero; do
	expect 1 "cannot write to $file: it is not a regular file" run --server /bin/true --out $file
	expect 1 "cannot read $file: it is not a regular file" report --in $file --out "$folder/out"
	expect 1 "cannot read $file: it is not a regular file" compare --a $file --b $file
done
head -c 17000000 /dev/zero | tr '\0' x | gzip -1 >"$folder/long"
expect 1 "cannot read $folder/long: a line has more than 16 MiB" report --in "$folder/long" --out "$folder/out"

# A name without a slash is a file here, and not whatever PATH has by that name.
mkdir "$folder/here" "$folder/path"
printf '#!/bin/sh\necho "the one of this folder" >&2\nexit 1\n' >"$folder/here/true"
chmod +x "$folder/here/true"
bench_path=$(realpath "$bench")
(cd "$folder/here" && "$bench_path" run --server true --out records --preset smoke --paths epoll 2>/dev/null)
grep -q 'the one of this folder' "$folder/here/records" || complain '--server true: another one was started'
(cd "$folder/path" && "$bench_path" run --server true --out records --paths epoll 2>"$folder/said")
[ $? = 2 ] && grep -q "cannot execute './true': No such file" "$folder/said" || complain "$(cat "$folder/said")"
expect 2 "cannot execute '$folder/here': Is a directory" run --server "$folder/here" --out "$folder/r"

# What was found of this machine, for people and for programs.
"$bench" preflight >"$folder/said" || complain "preflight: exit code $?"
grep -q '^\(hint \|info \)  virtualisation ' "$folder/said" || complain 'no virtualisation'
grep -q '^0 fatal, [0-9]* hints, [0-9]* info$' "$folder/said" || complain 'no sum'
"$bench" preflight --json | python3 -c 'import json, sys; assert all(
	c["level"] in ("hint", "info") and c["text"] for c in json.load(sys.stdin))' ||
	complain 'preflight --json'
(ulimit -n 64; "$bench" preflight --quiet >"$folder/said")
[ $? = 1 ] && grep -q '^fatal  nofile ' "$folder/said" || complain 'not fatal: 64 open files'
expect 2 "--experiments: 'path' is not valid" run --experiments path
expect 2 "--rates-of-peak: '0' is not valid" run --rates-of-peak 0
expect 2 "--neighbours: '2000' is not valid" run --neighbours 2000

expect 1 "cannot open $folder/none" report --in "$folder/none" --out "$folder/out"
expect 1 "$folder/foreign line 1: not JSON" report --in "$folder/foreign" --out "$folder/out"
: >"$folder/empty"
expect 1 "no records in" report --in "$folder/empty" --out "$folder/out"
[ ! -e "$folder/out" ] || complain 'a report was left'

# No disk: the record is refused whole. (A sanitizer's own files need a little.)
said=$(ulimit -f 1; "$bench" run --server /bin/true --out "$folder/full" --preset smoke --paths bare \
	--connections 10 --warm-up 0 --no-self-check 2>&1)
[ $? = 1 ] && [[ $said == *"cannot write the record to $folder/full: No space left"* ]] &&
	[ ! -s "$folder/full" ] || complain "$said"

# Standard output or stderr is closed: its number is not that of the records, where lines for a person would end up.
for closed in '>&-' '2>&-' '>&- 2>&-'; do
	eval "\"$bench\" run --server /bin/true --out \"$folder/closed\" --preset smoke --paths bare --repetitions 1 \
		--connections 10 --warm-up 0 --no-self-check --progress $closed" >/dev/null 2>&1
	python3 -c 'import json, sys; assert [json.loads(line) for line in open(sys.argv[1])]' "$folder/closed" ||
		complain "$closed: $(cat "$folder/closed")"
done

# A server that ends at once, one that says nonsense: the cell fails, with a record of why.
printf '#!/bin/sh\necho "cannot listen: port 80 is in use" >&2\nexit 1\n' >"$folder/dead"
printf '#!/bin/sh\necho "good morning"\nsleep 60\n' >"$folder/nonsense"
chmod +x "$folder/dead" "$folder/nonsense"
for server in dead nonsense; do
	"$bench" run --server "$folder/$server" --out "$folder/$server.ndjson" --preset smoke \
		--paths epoll 2>/dev/null && complain 'it passed'
done
# One that does not understand its command line has failed; one whose kernel lacks the path has not.
printf '#!/bin/sh\necho "unknown option" >&2\nexit 2\n' >"$folder/usage"
printf '#!/bin/sh\necho "this kernel has no such opcode" >&2\nexit 77\n' >"$folder/lacking"
chmod +x "$folder/usage" "$folder/lacking"
"$bench" run --server "$folder/usage" --out "$folder/usage.ndjson" --preset smoke 2>"$folder/said" &&
	complain 'a usage error passed'
grep -q ' 0 skipped' "$folder/said" || complain "a usage error was skipped: $(cat "$folder/said")"
"$bench" run --server "$folder/lacking" --out "$folder/lacking.ndjson" --preset smoke 2>"$folder/said" ||
	complain 'a path that is lacking failed'
grep -q ' 0 failed, [1-9][0-9]* skipped' "$folder/said" || complain "$(cat "$folder/said")"
grep -q '"outcome":"failed","reason":"cannot listen: port 80 is in use; exit code 1"' \
	"$folder/dead.ndjson" || complain 'no reason in the record'
grep -q '"reason":"the first line of' "$folder/nonsense.ndjson" || complain 'no reason'

# A run that goes on where it stopped measures nothing twice.
"$bench" run --server /bin/true --out "$folder/resumed" --preset smoke --paths bare --seed 7 \
	--connections 100 --warm-up 0 --no-self-check 2>/dev/null || complain 'it failed'
"$bench" run --server /bin/true --out "$folder/resumed" --preset smoke --paths bare --seed 7 \
	--connections 100 --warm-up 0 --no-self-check --repetitions 2 --resume 2>"$folder/said" ||
	complain 'it failed'
grep -q '^1 cells measured, 0 failed, 0 skipped, 1 were there already$' "$folder/said" ||
	complain "$(cat "$folder/said")"
[ "$(wc -l <"$folder/resumed")" = 2 ] || complain 'not two records'

# Cells of the same name under another load are other cells.
"$bench" run --server /bin/true --out "$folder/resumed" --preset smoke --paths bare --seed 7 \
	--connections 200 --warm-up 0 --no-self-check --resume 2>"$folder/said" || complain 'it failed'
grep -q '^1 cells measured, 0 failed, 0 skipped, 0 were there already$' "$folder/said" ||
	complain "another load: $(cat "$folder/said")"

# The same records give the same bytes. A second path, made up, for there to be a picture.
sed 's/"accept":"bare"/"accept":"haproxy"/' "$folder/resumed" >"$folder/second"
for n in 1 2; do
	mkdir -p "$folder/$n/all/plots"
	(cd "$folder/$n" && "$bench_path" report --in ../dead.ndjson --in ../resumed --in ../second --out all/report.md \
		--page results.md --csv all/results.csv --charts all/plots) || complain 'no report'
done
diff -r "$folder/1" "$folder/2" || failures=$((failures + 1))
grep -q '</svg>' "$folder"/1/all/plots/*.svg || complain 'no picture'
grep -q '](plots/paths-' "$folder/1/all/report.md" || complain 'the report does not show its picture'
grep -q '](all/report.md)' "$folder/1/results.md" || complain 'the page does not name the report'
expect 2 "--in is needed" report --flames "$folder" --out "$folder/out" --page "$folder/page"
expect 1 "was named for two parts" report --in "$folder/resumed" --out "$folder/same" --page "$folder/same"
mkdir "$folder/3"
said=$(PATH=/nowhere "$bench" report --in "$folder/resumed" --in "$folder/second" \
	--out "$folder/3/results.md" --charts "$folder/3" 2>&1)
[ $? = 1 ] && [[ $said == *"cannot run gnuplot, which draws the plots: No such file"*"install gnuplot-nox"* ]] ||
	complain "$said"
[ -z "$(ls "$folder/3")" ] || complain 'half a report'
mkdir "$folder/flames"
expect 1 "--flames: $folder/flames/summary.json: unable to open" report --flames "$folder/flames" \
	--out "$folder/flames.md"
echo '{"schema": "another/1"}' >"$folder/flames/summary.json"
expect 1 "has the schema 'another/1', accept-flames/1 is expected" report --in "$folder/resumed" \
	--flames "$folder/flames" --out "$folder/flames.md"
[ ! -e "$folder/flames.md" ] || complain 'a report was left'
# Nothing that was read is written over, and no part of a report by another.
cp "$folder/resumed" "$folder/kept"
ln "$folder/kept" "$folder/alias"
for option in "--out $folder/alias" "--out $folder/md --csv $folder/kept"; do
	# shellcheck disable=SC2086 # two words each
	expect 1 "will not write over" report --in "$folder/kept" $option
done
cmp -s "$folder/kept" "$folder/resumed" || complain 'the records are gone'
expect 1 "was named for two parts" report --in "$folder/kept" --out "$folder/same" --csv "$folder/same"

# What strangers wrote into a record stays text.
sed 's#"cpu":"[^"]*"#"cpu":"<script>alert(1)</script> | `x` [a](javascript:b)\\n<b>"#' "$folder/resumed" \
	>"$folder/strange"
"$bench" report --in "$folder/strange" --out "$folder/strange.md" --csv "$folder/strange.csv" ||
	complain 'no report of strange texts'
grep -q 'alert(1)' "$folder/strange.md" || complain 'the CPU is not there'
grep -q '<script\|<b>\|(javascript:b)$\|\[a\](' "$folder/strange.md" && complain 'a text became more than a text'
grep -q '<script>' "$folder/strange.csv" || complain 'the CSV has another text'

# Records of dup_bench may stand in the same file as cells, or alone; others are refused.
opcode='{"schema":2,"record":"dup_bench","method":"dup3","table":"shared","processes":1,"ops_per_s":5e6,'
opcode+='"kernel":"6.18","user_mode_linux":false,"machine":"<b>a CPU"}'
{
	cat "$folder/resumed"
	echo "$opcode"
} >"$folder/both"
echo "$opcode" >"$folder/opcode"
for file in both opcode; do
	"$bench" report --in "$folder/$file" --out "$folder/$file.md" || complain "no report of $file"
	grep -q '^| dup3() over an open fd | native | shared | 5.00 |' "$folder/$file.md" ||
		complain "the report of $file lacks what dup3 does"
	grep -q '<b>' "$folder/$file.md" && complain "the report of $file has a tag"
done
grep -q '^## The experiments' "$folder/both.md" || complain 'the cells are gone'
sed 's/"schema":2/"schema":1/' "$folder/opcode" >"$folder/old"
expect 1 "of dup_bench, with schema 1; this program reads 2" report --in "$folder/old" --out "$folder/old.md"
sed 's/dup_bench/dup_other/' "$folder/opcode" >"$folder/old"
expect 1 "not a record that this command reads: 'dup_other'" report --in "$folder/old" --out "$folder/old.md"
expect 1 'not a record' compare --a "$folder/opcode" --b "$folder/opcode"
expect 1 "cannot create" report --in "$folder/resumed" --out "$folder/no/where.md"
expect 1 "cannot write /dev/full" report --in "$folder/resumed" --out /dev/full
"$bench" compare --a "$folder/second" --b "$folder/second" >/dev/full 2>"$folder/said" &&
	complain 'a full disk passed for a verdict'
grep -q 'cannot write to stdout: No space left' "$folder/said" || complain "$(cat "$folder/said")"
expect 2 "--b is needed" compare --a "$folder/second"
[ -c /dev/full ] || complain '/dev/full is no device any more'

echo "$failures failures"
[ $failures = 0 ]
