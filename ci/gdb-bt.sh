#!/bin/bash
# gdb walks the stack of a coroutine: from a generator through its first frame into the function
# that resumed it and on to `main`; from a task to its first frame, where the walk ends cleanly.
. "$(dirname "$0")/lib.sh"
need gdb gdb
run cargo build -p kcoro-lab --bin lab_switch_sites
out=$(mktemp)
trap 'rm -f "$out"' EXIT
# Stops: after the first suspension (in resume), then inside the generator, then after its end,
# then inside the task.
run gdb -q -nx -batch -ex 'set confirm off' -ex 'set debuginfod enabled off' \
  -ex 'break kcoro_site_after' -ex run \
  -ex 'continue' -ex 'echo GENERATOR\n' -ex bt -ex 'echo END\n' \
  -ex 'continue' -ex 'continue' -ex 'echo TASK\n' -ex bt -ex 'echo END\n' \
  target/debug/lab_switch_sites > "$out" 2>&1 < /dev/null || { cat "$out"; fail "gdb"; }
cat "$out"

# The first frame of a generator is marked as a signal frame (arch/x86_64/linked_entry.s), which is
# what gdb calls it.
# walk NAME PATTERN...: the patterns occur in this order in the named backtrace.
walk() {
  local name=$1 text pattern
  shift
  text=$(sed -n "/^$name\$/,/^END\$/p" "$out" | tr '\n' ' ')
  [ -n "$text" ] || fail "$name: no backtrace"
  for pattern; do
    [[ $text == *"$pattern"* ]] || fail "$name: no frame \`$pattern\` where it belongs"
    text=${text#*"$pattern"}
  done
}
walk GENERATOR kcoro_site_after kcoro_site_suspend "<signal handler called>" kcoro_site_resume ::main
walk TASK kcoro_site_after kcoro_site_yield token_entry
# Nothing lies below the first frame of a task.
sed -n '/^TASK$/,/^END$/p' "$out" | grep '^#' | tail -n1 | grep -q token_entry ||
  fail "TASK: the walk does not end at the first frame"
if grep -qE 'corrupt stack|Cannot access memory|previous frame (inner|identical)' "$out"; then
  fail "gdb lost its way"
fi
