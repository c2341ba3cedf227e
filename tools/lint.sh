#!/usr/bin/env bash
# Layers, sizes, statements, lines of documents, the picture of README.md, formatting, shell and Python syntax.
set -euo pipefail
cd "$(dirname "$0")/.."
tools/check_layers.py
tools/check_sizes.py
tools/check_statements.py
tools/check_documents.py
tools/readme_picture.py --check
tools/format.sh --check
git ls-files -z -- dev '*.sh' .ci/run | xargs -0 -n1 bash -n
git ls-files -z -- '*.py' | xargs -0 python3 -c 'import ast, sys; [ast.parse(open(name).read(), name) for name in sys.argv[1:]]'
for test in tools/test_*.py bench/test_*.py; do PYTHONDONTWRITEBYTECODE=1 python3 "$test"; done
echo "lint: ok"
