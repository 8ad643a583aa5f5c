#!/bin/bash
# AddressSanitizer and LeakSanitizer over all tests, with the fiber calls of src/sys/fiber.rs. The
# compiler's own standard library will do: only code of this workspace needs the instrumentation.
. "$(dirname "$0")/lib.sh"
export CARGO_TARGET_DIR=target/asan RUSTC_BOOTSTRAP=1
export RUSTFLAGS="-Zsanitizer=address --cfg kcoro_asan" RUSTDOCFLAGS="-Zsanitizer=address"
# The overflow report has to find the handlers of an ordinary program before it.
export ASAN_OPTIONS=${ASAN_OPTIONS:-handle_segv=0:handle_sigbus=0}
slowed 10
run cargo test -p kcoro -p kcoro-cli --target $HOST --lib --bins --tests --no-fail-fast
