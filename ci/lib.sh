# Shared by every gate: `. "$(dirname "$0")/lib.sh"` as its first line. Sets the strict mode, goes to
# the root of the repository and offers the few functions below.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export CARGO_TERM_COLOR=never CARGO_INCREMENTAL=0 DEBIAN_FRONTEND=noninteractive
export RUST_BACKTRACE=${RUST_BACKTRACE:-1}
# How long the soak among the tests lasts; it is for longer runs by hand.
export KCORO_SOAK_SECONDS=${KCORO_SOAK_SECONDS:-2}
HOST=x86_64-unknown-linux-gnu

# Says what is about to run, then runs it.
run() {
  echo "+ $*"
  "$@"
}

# need COMMAND PACKAGE...: installs the packages unless the command is there.
need() {
  local command=$1
  shift
  command -v "$command" > /dev/null && return
  echo "+ apt-get install $*"
  apt_get update -qq
  apt_get install -y -qq --no-install-recommends "$@" > /dev/null
  command -v "$command" > /dev/null
}

# apt-get that waits for another one instead of failing, and tries again when the mirror hiccups.
apt_get() { apt-get -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 "$@" < /dev/null; }

# binaries CARGO-ARGUMENTS...: builds tests and prints the path of each test program.
# `cargo test --no-run` reports them as `Executable ... (path)` on stderr.
binaries() {
  local log
  log=$(mktemp)
  if ! cargo test --no-run "$@" 2> "$log"; then
    cat "$log" >&2
    rm -f "$log"
    return 1
  fi
  sed -n 's/^ *Executable .*(\(.*\))$/\1/p' "$log"
  rm -f "$log"
}

# slowed N: what runs next is slow. Long loops of the tests are divided by N (none is left out), and
# the panics that tests expect print no backtrace, which would take longer than the tests.
slowed() {
  export KCORO_TEST_SCALE=${KCORO_TEST_SCALE:-$1} PROPTEST_CASES=${PROPTEST_CASES:-16}
  export RUST_BACKTRACE=0
  # Line tables are all that a report needs, and quicker to build.
  export CARGO_PROFILE_DEV_DEBUG=line-tables-only
}

fail() {
  echo "FAIL: $*" >&2
  exit 1
}
