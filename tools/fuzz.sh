#!/usr/bin/env bash
# Runs every fuzzer for some seconds, from the kept corpus in tests/fuzz/corpus. New finds stay in the build folder; what was
# found in an earlier run is tried again first.
#   tools/fuzz.sh BUILD_FOLDER SECONDS [SEED]     (without a seed: another one each time)
set -euo pipefail
cd "$(dirname "$0")/.."
build=$1 seconds=$2 seed=${3:-0}

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
ran=0
for fuzzer in "$build"/tests/fuzz/fuzz_*; do
  if [ ! -x "$fuzzer" ] || [ ! -f "$fuzzer" ]; then continue; fi
  name=$(basename "$fuzzer"); name=${name#fuzz_}
  finds="$build/finds/$name" log="$build/finds/$name.log"
  mkdir -p "$finds"
  add_deep_seeds "$name" "$finds"
  find "$build/finds" -maxdepth 1 -type f -name "$name-*" -exec mv {} "$finds/" \;
  corpus=("$finds")
  if [ -d "tests/fuzz/corpus/$name" ]; then corpus+=("tests/fuzz/corpus/$name"); fi
  echo "fuzz $name for $seconds s"
  if ! "$fuzzer" -seed="$seed" -max_total_time="$seconds" -max_len=2000000 -rss_limit_mb=2048 -timeout=10 \
       -artifact_prefix="$build/finds/$name-" -print_final_stats=1 "${corpus[@]}" > "$log" 2>&1; then
    # what it said, without the lines of progress, and the input where it is short: enough to find it again from a CI's log
    grep -vE '^#[0-9]+[[:space:]]|^stat::|^INFO:' "$log" | cut -c 1-200 | tail -60 >&2
    find "$build/finds" -maxdepth 1 -type f -name "$name-*" -size -3k -exec sh -c 'echo "$1, in base64:"; base64 -w 120 "$1"' _ {} \; >&2
    echo "fuzz $name: failed; the whole log is $log, the input beside it" >&2
    exit 1
  fi
  grep -E 'stat::number_of_executed' "$log" || true
  ran=$((ran + 1))
done
[ "$ran" -gt 0 ] || { echo "fuzz: no fuzzer in $build/tests/fuzz" >&2; exit 1; }
echo "fuzz: $ran fuzzers, nothing found"
