# Sourced by the gates that need a second compiler. Debian bookworm carries rustc-web, a recent
# Rust in packages that do not touch the system's own; they are unpacked side by side into a folder
# (amd64 compiler, standard library for amd64 and arm64), with apt lists of their own, so that the
# machine's architectures and package lists stay as they are. Every function returns 1 with a word
# of why when something cannot be had, also where the caller has switched `set -e` off.

TOOLS=${KCORO_CI_TOOLS:-/opt/kcoro-ci}
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

# apt_private NAME ARCHITECTURES SUITE...: prepares lists of their own, leaves the options in APT.
apt_private() {
  local state=$TOOLS/apt-$1 architectures=$2 suite
  shift 2
  mkdir -p "$state/lists/partial" "$state/cache/archives/partial"
  : > "$state/status"
  : > "$state/sources.list"
  for suite in "$@"; do
    # The mirror apt is set up with. A suite it does not list is looked for beside bookworm.
    apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' | sort -u |
      awk -v suite="$suite" '$2 == suite {found = $1} $2 == "bookworm" {base = $1}
        END {print found ? found : base}' |
      sed "s,.*,deb [signed-by=$KEYRING] & $suite main," >> "$state/sources.list"
  done
  APT=(-o Dir::Etc::sourcelist="$state/sources.list" -o Dir::Etc::sourceparts=/dev/null
    -o Dir::State::lists="$state/lists" -o Dir::Cache="$state/cache"
    -o Dir::State::status="$state/status" -o APT::Architectures="$architectures"
    -o Acquire::Languages=none -o APT::Sandbox::User=root)
  apt_get "${APT[@]}" update -qq
}

# newest PACKAGE [PREFIX]: the newest version that begins with PREFIX, or nothing.
newest() {
  apt-cache "${APT[@]}" madison "$1" | awk -v p="${2:-}" 'index($3, p) == 1 {print $3}' |
    sort -uV | tail -n1
}

# unpack FOLDER PACKAGE=VERSION...: downloads packages and unpacks them into FOLDER.
unpack() {
  local folder=$1 deb
  shift
  rm -rf "$folder/deb"
  mkdir -p "$folder/deb"
  (cd "$folder/deb" && apt_get "${APT[@]}" download -qq "$@") || return 1
  for deb in "$folder"/deb/*.deb; do dpkg -x "$deb" "$folder" || return 1; done
  rm -rf "$folder/deb" "$folder/usr/share/doc"
}

# debian_rust: puts Debian's newest rustc-web in place. Sets RUST_VERSION (1.96.0...), RUST_HOME, and
# exports RUSTC and RUSTDOC, which is all that cargo needs to use it.
debian_rust() {
  local minor llvm program
  apt_private rust amd64,arm64 bookworm bookworm-security
  RUST_VERSION=$(newest rustc-web)
  if [ -z "$RUST_VERSION" ]; then
    echo "Debian bookworm offers no rustc-web any more"
    return 1
  fi
  minor=$(cut -d. -f1,2 <<< "$RUST_VERSION")
  RUST_HOME=$TOOLS/rust-$minor
  llvm=$(apt-cache "${APT[@]}" show "libstd-rust-web-$minor=$RUST_VERSION" |
    sed -n 's,^Depends:.*\(libllvm[0-9]*\).*,\1,p' | sort -u)
  if ! dpkg -s "$llvm" > /dev/null 2>&1; then
    apt_get update -qq
    apt_get install -y -qq --no-install-recommends "$llvm" > /dev/null || return 1
  fi
  if [ ! -e "$RUST_HOME/.done-$RUST_VERSION" ]; then
    rm -rf "$RUST_HOME"
    unpack "$RUST_HOME" "rustc-web=$RUST_VERSION" "libstd-rust-web-$minor=$RUST_VERSION" \
      "libstd-rust-web-dev=$RUST_VERSION" "libstd-rust-web-dev:arm64=$RUST_VERSION" || return 1
    # The libraries lie where a Debian system would look for them: name the place for each program.
    mkdir "$RUST_HOME/bin"
    for program in rustc rustdoc; do
      printf '#!/bin/sh\nLD_LIBRARY_PATH=%s exec %s "$@"\n' \
        "$RUST_HOME/usr/lib/x86_64-linux-gnu" "$RUST_HOME/usr/bin/$program" \
        > "$RUST_HOME/bin/$program"
      chmod +x "$RUST_HOME/bin/$program"
    done
    touch "$RUST_HOME/.done-$RUST_VERSION"
  fi
  export RUSTC=$RUST_HOME/bin/rustc RUSTDOC=$RUST_HOME/bin/rustdoc
  run "$RUSTC" -V
}
