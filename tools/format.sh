#!/usr/bin/env bash
# Formats every C++ file, or with --check says which ones differ. Versions of clang-format disagree, so it must be 14.
set -euo pipefail
cd "$(dirname "$0")/.."
program=$(command -v clang-format-14 || command -v clang-format || true)
if [ -z "$program" ] || ! "$program" --version | grep -q 'version 14\.'; then
  echo "format: needs clang-format 14 (Debian 12: apt-get install clang-format; Ubuntu 24.04: clang-format-14)" >&2
  exit 1
fi
mode=-i
if [ "${1:-}" = --check ]; then mode="--dry-run --Werror"; fi
git ls-files -z -- '*.cpp' '*.h' '*.cu' | xargs -0 "$program" $mode
