#!/bin/bash
# ThreadSanitizer over all tests, with the fiber calls of src/sys/fiber.rs. The standard library has
# to be instrumented too, or it gives false reports, so it is built from source. Two variants, of
# which the first that can be had is used; KCORO_TSAN=debian|machine names one:
#
#   debian   Debian's rustc-web with its own rust-web-src, and clang's run-time. Lasts.
#   machine  the active toolchain with Debian's rust-src of the very same version, if it is there.
. "$(dirname "$0")/lib.sh"
. ci/debian.sh

# Each prepares one variant or returns 1 after saying what is missing.
prepare_debian() {
  local source llvm
  if ! debian_rust; then
    echo "variant debian: no rustc-web"
    return 1
  fi
  source=$(newest rust-web-src "$RUST_VERSION")
  if [ -z "$source" ]; then
    echo "variant debian: no rust-web-src $RUST_VERSION"
    return 1
  fi
  llvm=$("$RUSTC" -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
  if ! command -v "clang-$llvm" > /dev/null ||
    ! dpkg -s "libclang-rt-$llvm-dev" > /dev/null 2>&1; then
    apt_get update -qq
    if ! apt_get install -y -qq --no-install-recommends "clang-$llvm" "libclang-rt-$llvm-dev" \
      > /dev/null; then
      echo "variant debian: no clang-$llvm or libclang-rt-$llvm-dev"
      return 1
    fi
  fi
  if [ ! -e "$TOOLS/src-$RUST_VERSION/.done" ]; then
    unpack "$TOOLS/src-$RUST_VERSION" "rust-web-src=$source" || return 1
    touch "$TOOLS/src-$RUST_VERSION/.done"
  fi
  LIBRARY=$(dirname "$(find "$TOOLS/src-$RUST_VERSION" -path '*/library/Cargo.lock' | head -n1)")
  FLAGS="-Zexternal-clangrt -Clinker=clang-$llvm -Clink-arg=-fsanitize=thread"
}

prepare_machine() {
  local version source
  unset RUSTC RUSTDOC
  version=$(rustc -V | awk '{print $2}')
  version=${version%%-*}
  apt_private src amd64 trixie-backports
  source=$(newest rust-src "$version+")
  if [ -z "$source" ]; then
    echo "variant machine: no rust-src $version in Debian"
    return 1
  fi
  if [ ! -e "$TOOLS/src-$version/.done" ]; then
    unpack "$TOOLS/src-$version" "rust-src=$source" || return 1
    touch "$TOOLS/src-$version/.done"
  fi
  LIBRARY=$(dirname "$(find "$TOOLS/src-$version" -path '*/library/Cargo.lock' | head -n1)")
  FLAGS=""
}

ready="" LIBRARY=""
for variant in ${KCORO_TSAN:-debian machine}; do
  if "prepare_$variant" && [ -e "$LIBRARY/Cargo.lock" ]; then
    ready=$variant
    break
  fi
done
[ -n "$ready" ] || fail "no variant of the standard library's source can be had"
echo "variant $ready, library $LIBRARY"

export CARGO_TARGET_DIR=target/tsan-$ready RUSTC_BOOTSTRAP=1 __CARGO_TESTS_ONLY_SRC_ROOT=$LIBRARY
export RUSTFLAGS="-Zsanitizer=thread --cfg kcoro_tsan $FLAGS"
# The overflow report has to find the handlers of an ordinary program before it; a test may exit
# while its threads still run, or fork.
export TSAN_OPTIONS=${TSAN_OPTIONS:-handle_segv=0:handle_sigbus=0:report_thread_leaks=0:die_after_fork=0}
slowed 50
# KCORO_TSAN_TESTS="--test channel" and the like runs less.
read -ra tests <<< "${KCORO_TSAN_TESTS:---lib --tests}"
run cargo test -p kcoro --target $HOST -Zbuild-std "${tests[@]}" --no-fail-fast
