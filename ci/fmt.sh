#!/bin/bash
# Formatting of every file that a module names, the assembly modules included.
. "$(dirname "$0")/lib.sh"
run cargo fmt --all --check
