#!/bin/bash
# The programs of the README print what they promise.
. "$(dirname "$0")/lib.sh"
got=$(run cargo run -q --release -p kcoro-lab --bin lab_simple_park_demo)
echo "$got"
expected='[main] resuming
[co] before park
[main] first resume return
[co] after park
[main] second resume return'
[ "${got#*$'\n'}" = "$expected" ] || fail "not the five lines"

# Two seconds of the monster demonstration on the processes of this machine: the counts add up.
got=$(run cargo run -q --release -p kcoro-cli -- monster demo --seconds 2)
echo "$got"
for line in '^Producer: Wrote [1-9][0-9]* samples to ring 0$' \
  '^Filter: Read [1-9][0-9]* samples, wrote [1-9][0-9]* to ring 1$' \
  '^Consumer: Read [1-9][0-9]* samples, processed [1-9][0-9]*$' \
  '^Coordinator: Coordinated [1-9][0-9]* apps on shard 14$' \
  '^Counts: .*: they add up$' '^pipe 0 ' '^pipe 1 '; do
  grep -q "$line" <<< "$got" || fail "no line like: $line"
done
