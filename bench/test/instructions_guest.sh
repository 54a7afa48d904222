#!/bin/bash
# No path has become more than 3 % dearer, in instructions a connection, than the records in the repository say. Boots
# the guest itself, with a clock that counts instructions; how busy this machine is changes nothing but the time it takes.
# The kernel is the one that the other tests in the guest have. Most of what it executes is checking its locks, so what is
# noticed is a path that has become dearer by a tenth without that, or takes more locks.
# With one connection in flight boots differ by 2 %, so only many are looked at.
# Dearer for a good reason: scripts/bench --only instructions makes the records anew.
#   instructions_guest.sh ACCEPT-BENCH ACCEPT-SERVER SOURCE-FOLDER

set -euo pipefail
bench=$(realpath "$1") server=$(realpath "$2") source=$(realpath "$3")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

"$source/kernel/boot" --flavour lockstat --cpus 1 --icount --rwdir "$folder" -- \
	"$bench" instructions --server "$server" --out "$folder/now.ndjson" --paths epoll,multishot,dup,direct \
	--in-flight 32 --connections 1000 --repetitions 2 --user-connections 0
"$bench" dearer --than "$source/bench/records/instructions.ndjson.gz" --in "$folder/now.ndjson" --percent 3
