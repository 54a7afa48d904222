#!/bin/bash
# The page and the report in the repository are those of its records: the command that the report
# prints makes the same bytes again, and the page has at most 120 lines.
#   results.sh ACCEPT-BENCH SOURCE-FOLDER

set -u
bench=$(realpath "$1") source=$(realpath "$2")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
failures=0

complain()
{
	echo "results.sh: $1"
	failures=$((failures + 1))
}

command -v gnuplot >/dev/null || { echo 'skipped: no gnuplot'; exit 77; }
mkdir -p "$folder/bench"
cp -r "$source/bench/records" "$folder/bench/"
rm -f "$folder"/bench/records/REPORT.md "$folder"/bench/records/plots/*
words=$(awk '/^    build\/release\/accept-bench report/ { on = 1 } on && NF == 0 { exit } on { sub(/\\$/, ""); print }' \
	"$source/bench/records/REPORT.md")
[ -n "$words" ] || complain 'the report does not say how to make it again'
# shellcheck disable=SC2086 # its words are the arguments; no name has a space
(cd "$folder" && set -- $words && shift && "$bench" "$@") || complain 'the command fails'
for file in RESULTS.md bench/records/REPORT.md; do
	cmp "$source/$file" "$folder/$file" ||
		complain "$file is not what the records give; make it again as bench/records/REPORT.md says"
done
(cd "$folder/bench/records/plots" && ls) | diff - <(cd "$source/bench/records/plots" && ls) ||
	complain 'other pictures'
lines=$(wc -l <"$source/RESULTS.md")
[ "$lines" -le 120 ] || complain "RESULTS.md has $lines lines"
for picture in $(grep -oE '\]\([^)#]*\.(svg|md)\)' "$source/RESULTS.md" | tr -d '])('); do
	[ -f "$source/$picture" ] || complain "RESULTS.md shows $picture, which is not there"
done
echo "$failures failures"
[ $failures = 0 ]
