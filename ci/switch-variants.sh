#!/bin/bash
# The switch that is not the default: all tests with the out-of-line switch, in debug and release.
# `ci/test` covers the default one.
. "$(dirname "$0")/lib.sh"
features=kcoro/switch-out-of-line,kcoro/tracing,kcoro/sink
run cargo test -p kcoro -p kcoro-cli --features $features --lib --bins --tests
run cargo test -p kcoro -p kcoro-cli --features $features --lib --bins --tests --release
