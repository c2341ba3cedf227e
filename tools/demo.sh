#!/usr/bin/env bash
# Trains a small SRU++ model on text that every machine has, the C++ headers of LibTorch, samples from it, writes a report.
set -euo pipefail
cd "$(dirname "$0")/.."
lithe=$1
run=runs/demo number=2
while [ -e "$run" ]; do run=runs/demo-$number number=$((number + 1)); done  # earlier ones stay
headers=${LITHE_TORCH:-.deps/site/torch}/include
mkdir -p runs
echo "Training for two to four minutes on the C++ headers in $headers" >&2
status=0
"$lithe" train configs/demo.toml --set "data.path=$headers" --run "$run" || status=$?
[ "$status" = 0 ] || exit "$status"
echo
echo "A sample:"
"$lithe" generate "$run" -q --prompt $'#include <' --tokens 400 --temperature 0.6
echo
echo "Report: $PWD/$run/report.html"
