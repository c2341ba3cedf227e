#!/usr/bin/env bash
# Runs every fuzzer for some seconds, from the kept corpus in tests/fuzz/corpus. New finds stay in the build folder.
set -euo pipefail
cd "$(dirname "$0")/.."
build=$1 seconds=$2

# JSON nested 100,000 deep, where each reader of it would meet it; too large to be kept
deep() {  # opening, closing, inside
  python3 -c 'import sys; print(sys.argv[1] * 100000 + sys.argv[3] + sys.argv[2] * 100000, end="")' "$@"
}
add_deep_seeds() {  # fuzzer, folder
  case $1 in
    tokenizer) { printf '{"model":{"type":"WordLevel","vocab":{"a":0}},"normalizer":'; deep '{"type":"Sequence","normalizers":[' ']}' '{}'
                 printf '}\n'; } > "$2/deep" ;;
    documents) { printf '\001{"text":"a","label":'; deep '[' ']' ''; printf '}\n'; } > "$2/deep" ;;
    config_json|token_set) deep '{"a":' '}' 1 > "$2/deep" ;;
    layout) deep '(' ')' a > "$2/deep" ;;
    config) { printf 'a = '; deep '[' ']' ''; } > "$2/deep" ;;
  esac
}
for fuzzer in "$build"/tests/fuzz/fuzz_*; do
  [ -x "$fuzzer" ] && [ -f "$fuzzer" ] || continue
  name=$(basename "$fuzzer"); name=${name#fuzz_}
  mkdir -p "$build/finds/$name"
  add_deep_seeds "$name" "$build/finds/$name"
  echo "fuzz $name for $seconds s"
  "$fuzzer" -max_total_time="$seconds" -max_len=2000000 -rss_limit_mb=2048 -timeout=10 -artifact_prefix="$build/finds/$name-" -print_final_stats=1 \
    "$build/finds/$name" "tests/fuzz/corpus/$name" 2>&1 | grep -E 'stat::number_of_executed|ERROR|SUMMARY|Test unit' || true
  ls "$build"/finds/"$name"-* >/dev/null 2>&1 && { echo "fuzz $name: a find is in $build/finds"; exit 1; }
done
echo "fuzz: nothing found"
