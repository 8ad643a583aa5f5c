#!/bin/bash
# The core tests in release, again and again while the machine is busy: KCORO_SOAK_RUNS times
# (default 100) or until KCORO_SOAK_MINUTES (default 6) are over, whichever comes first, and at
# least once. The load is one busy process for each processor.
. "$(dirname "$0")/lib.sh"
runs=${KCORO_SOAK_RUNS:-100} minutes=${KCORO_SOAK_MINUTES:-6}
slowed 10
# The core: switches, stacks, coroutines. KCORO_SOAK_TESTS=--tests runs everything.
read -ra tests <<< "${KCORO_SOAK_TESTS:---test coroutine --test stack_overflow}"
programs=$(binaries -p kcoro --lib "${tests[@]}" --release)
[ -n "$programs" ] || fail "no test program was built"
load=()
trap 'kill "${load[@]}" 2> /dev/null || true' EXIT
for _ in $(seq "$(nproc)"); do
  nice -n 5 bash -c 'while :; do :; done' &
  load+=($!)
done
log=$(mktemp)
begin=$SECONDS
for ((i = 1; i <= runs; i++)); do
  for program in $programs; do
    if ! timeout -k 10 300 "$program" -q > "$log" 2>&1 < /dev/null; then
      cat "$log"
      fail "run $i of $program"
    fi
  done
  [ $((SECONDS - begin)) -lt $((minutes * 60)) ] || break
done
[ $i -le "$runs" ] || i=$runs
echo "$i runs of $(wc -w <<< "$programs") programs without a failure, $((SECONDS - begin)) s"
