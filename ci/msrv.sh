#!/bin/bash
# The declared minimum Rust version builds everything: every package names the same one, and a
# compiler of exactly that version checks all targets with all features. Taken from rustup if it has
# it, else the active compiler if it is that version, else rustup is asked to install it.
. "$(dirname "$0")/lib.sh"
minimum=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
[ -n "$minimum" ] || fail "Cargo.toml declares no rust-version"
for manifest in */Cargo.toml; do
  grep -q '^rust-version.workspace = true$' "$manifest" ||
    fail "$manifest does not take the workspace's rust-version"
done
of_minimum() { [[ $("$@" -V 2> /dev/null) == "rustc $minimum".* ]]; }
if of_minimum rustc; then
  compiler=()
elif of_minimum rustup run "$minimum" rustc || of_minimum rustup run "$minimum.0" rustc ||
  run rustup toolchain install --profile minimal "$minimum"; then
  compiler=(rustup run "$minimum")
  of_minimum "${compiler[@]}" rustc || compiler=(rustup run "$minimum.0")
else
  fail "no compiler of version $minimum can be had"
fi
run "${compiler[@]}" rustc -V
# First what a user builds, with the default features, then everything.
run "${compiler[@]}" cargo check --locked --workspace --lib --bins
run "${compiler[@]}" cargo check --locked --workspace --all-targets --all-features
