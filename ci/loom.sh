#!/bin/bash
# Every interleaving of the pure protocol files, by loom: tests/loom/*.rs, one for each such file.
# LOOM_MAX_PREEMPTIONS bounds the search; a model that needs another bound sets it itself.
. "$(dirname "$0")/lib.sh"
export CARGO_TARGET_DIR=target/loom RUSTFLAGS="--cfg loom"
export LOOM_MAX_PREEMPTIONS=${LOOM_MAX_PREEMPTIONS:-3}
out=$(mktemp)
trap 'rm -f "$out"' EXIT
run cargo test -p kcoro --release --lib loom 2>&1 | tee "$out"
# A model that is not pulled in by its file would be silently left out.
for model in tests/loom/*.rs; do
  [ -e "$model" ] || continue
  grep -rqF "tests/loom/$(basename "$model")" src || fail "$model is named by no file under src/"
done
grep -q '^test result: ok\. 0 passed' "$out" && fail "no model ran"
true
