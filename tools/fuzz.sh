#!/usr/bin/env bash
# Runs every fuzzer for some seconds, from the kept corpus in tests/fuzz/corpus. New finds stay in the build folder.
set -euo pipefail
cd "$(dirname "$0")/.."
build=$1 seconds=$2
for fuzzer in "$build"/tests/fuzz/fuzz_*; do
  [ -x "$fuzzer" ] && [ -f "$fuzzer" ] || continue
  name=$(basename "$fuzzer"); name=${name#fuzz_}
  mkdir -p "$build/finds/$name"
  echo "fuzz $name for $seconds s"
  "$fuzzer" -max_total_time="$seconds" -max_len=20000 -rss_limit_mb=2048 -timeout=10 -artifact_prefix="$build/finds/$name-" -print_final_stats=1 \
    "$build/finds/$name" "tests/fuzz/corpus/$name" 2>&1 | grep -E 'stat::number_of_executed|ERROR|SUMMARY|Test unit' || true
  ls "$build"/finds/"$name"-* >/dev/null 2>&1 && { echo "fuzz $name: a find is in $build/finds"; exit 1; }
done
echo "fuzz: nothing found"
