#!/bin/bash
# aarch64 under emulation: all tests and the main labs on two processor models, `max` (LSE atomics,
# PAC, BTI, SVE) and `cortex-a53` (none of them), with Debian's compiler, which is also the newest
# Rust of the gates.
#
# KCORO_TEST_SCALE shortens the long loops of the tests; none is left out. KCORO_TEST_RUNNER is
# what a test that starts its own program puts in front of it.
. "$(dirname "$0")/lib.sh"
. ci/debian.sh
need aarch64-linux-gnu-gcc gcc libc6-dev gcc-aarch64-linux-gnu libc6-dev-arm64-cross
need qemu-aarch64 qemu-user
debian_rust
target=aarch64-unknown-linux-gnu
export CARGO_TARGET_DIR=target/aarch64
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
slowed 10
# KCORO_AARCH64_TESTS=--tests runs everything.
core="--test coroutine --test stack_overflow --test token --test time --test monitor --test migration"
labs=("lab_simple_park_demo" "lab_minimal_switch" "lab_stack_test" "lab_token_kernel_demo"
  "lab_token_vm_bench 2000 20")
for cpu in max cortex-a53; do
  runner="qemu-aarch64 -cpu $cpu -L /usr/aarch64-linux-gnu"
  export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER=$runner KCORO_TEST_RUNNER=$runner
  echo "== $cpu"
  read -ra tests <<< "${KCORO_AARCH64_TESTS:-$core}"
  run cargo test -p kcoro --target $target --lib "${tests[@]}" --no-fail-fast
  for lab in "${labs[@]}"; do
    read -r program arguments <<< "$lab"
    # Several words.
    # shellcheck disable=SC2086
    run cargo run -q --release --target $target -p kcoro-lab --bin "$program" -- $arguments
  done
done
