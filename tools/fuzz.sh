#!/usr/bin/env bash
# Runs every fuzzer for some seconds, from the kept corpus in tests/fuzz/corpus. New finds stay in the build folder; what was
# found in an earlier run is tried again first.
#   tools/fuzz.sh BUILD_FOLDER SECONDS
set -euo pipefail
cd "$(dirname "$0")/.."
build=$1 seconds=$2
ran=0
for fuzzer in "$build"/tests/fuzz/fuzz_*; do
  if [ ! -x "$fuzzer" ] || [ ! -f "$fuzzer" ]; then continue; fi
  name=$(basename "$fuzzer"); name=${name#fuzz_}
  finds="$build/finds/$name" log="$build/finds/$name.log"
  mkdir -p "$finds"
  find "$build/finds" -maxdepth 1 -type f -name "$name-*" -exec mv {} "$finds/" \;
  corpus=("$finds")
  if [ -d "tests/fuzz/corpus/$name" ]; then corpus+=("tests/fuzz/corpus/$name"); fi
  echo "fuzz $name for $seconds s"
  if ! "$fuzzer" -max_total_time="$seconds" -max_len=20000 -rss_limit_mb=2048 -timeout=10 -artifact_prefix="$build/finds/$name-" \
       -print_final_stats=1 "${corpus[@]}" > "$log" 2>&1; then
    grep -E 'ERROR|SUMMARY|Test unit' "$log" >&2 || tail -20 "$log" >&2
    echo "fuzz $name: failed; the whole log is $log, the input beside it" >&2
    exit 1
  fi
  grep -E 'stat::number_of_executed' "$log" || true
  ran=$((ran + 1))
done
[ "$ran" -gt 0 ] || { echo "fuzz: no fuzzer in $build/tests/fuzz" >&2; exit 1; }
echo "fuzz: $ran fuzzers, nothing found"
