#!/usr/bin/env bash
# Layers, sizes, formatting, shell and Python syntax.
set -euo pipefail
cd "$(dirname "$0")/.."
tools/check_layers.py
tools/check_sizes.py
tools/format.sh --check
for script in dev tools/*.sh .ci/run; do bash -n "$script"; done
python3 -m py_compile tools/*.py
