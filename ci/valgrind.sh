#!/bin/bash
# Memcheck over the core tests (units and tests/), with the stacks made known by
# src/sys/fiber.rs. Invalid accesses, uses of undefined memory and definite leaks fail.
. "$(dirname "$0")/lib.sh"
need valgrind valgrind
export CARGO_TARGET_DIR=target/valgrind RUSTFLAGS="--cfg kcoro_valgrind"
slowed 100
# The core: switches, stacks, coroutines. KCORO_VALGRIND_TESTS=--tests runs everything, slowly.
read -ra tests <<< "${KCORO_VALGRIND_TESTS:---test coroutine}"
programs=$(binaries -p kcoro --lib "${tests[@]}")
[ -n "$programs" ] || fail "no test program was built"
for program in $programs; do
  case $(basename "$program") in
    layering-*) continue ;; # reads source files, runs nothing of the library
  esac
  run valgrind --error-exitcode=1 --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite \
    --fair-sched=yes --quiet "$program" --test-threads=1
done
