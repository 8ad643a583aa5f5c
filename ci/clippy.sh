#!/bin/bash
# Lints with warnings denied, with the default features and with all of them. `--locked` notices a
# dependency that was added without its line in Cargo.lock.
. "$(dirname "$0")/lib.sh"
run cargo clippy --locked --workspace --all-targets -- -D warnings
run cargo clippy --locked --workspace --all-targets --all-features -- -D warnings
