#!/bin/bash
# Documentation builds without a warning: no broken link, no missing text, public and private.
. "$(dirname "$0")/lib.sh"
export RUSTDOCFLAGS="-D warnings"
run cargo doc --locked --workspace --no-deps --all-features
