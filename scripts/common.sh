# shellcheck shell=bash
# What the scripts share: the crate's folder, a cargo that may lie outside of PATH, and how they speak.

# shellcheck disable=SC2034  # used by those who read this file in
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# rustup puts cargo here, and only login shells learn of it.
cargo_bin="${CARGO_HOME:-${HOME:-/root}/.cargo}/bin"
if [ -d "$cargo_bin" ]; then
    PATH="$cargo_bin:$PATH"
fi

# Tools that only the tests use are installed next to the build.
tools="${CARGO_TARGET_DIR:-target}/tools"
case $tools in /*) ;; *) tools="$root/$tools" ;; esac
PATH="$tools/bin:$PATH"

# Progress goes to standard error; standard output belongs to results.
say() {
    printf '%s\n' "$*" >&2
}

die() {
    say "$*"
    exit 1
}

has() {
    command -v "$1" >/dev/null 2>&1
}
