#!/usr/bin/env bash
# Writes the C++ headers that this machine has as one text, the files in an order that does not follow their names.
#   bench/headers.sh > headers.txt
set -euo pipefail
for folder in c++ gtest gmock benchmark catch2 CLI fmt nlohmann; do
  [ ! -d "/usr/include/$folder" ] || find "/usr/include/$folder" -type f
done | while read -r file; do
  echo "$(printf %s "$file" | sha1sum | cut -c1-40) $file"
done | sort | cut -d' ' -f2- | xargs -r -d '\n' cat
