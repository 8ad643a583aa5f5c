#!/bin/bash
# The main job of the README prints what it promises.
. "$(dirname "$0")/lib.sh"
got=$(run cargo run -q --release -p kcoro-lab --bin lab_simple_park_demo)
echo "$got"
expected='[main] resuming
[co] before park
[main] first resume return
[co] after park
[main] second resume return'
[ "${got#*$'\n'}" = "$expected" ] || fail "not the five lines"
