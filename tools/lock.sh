#!/usr/bin/env bash
# Pins every dependency with hashes and without any registry's address.
set -euo pipefail
cd "$(dirname "$0")/.."
tmp=$(mktemp -d); trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -q uv
"$tmp/venv/bin/uv" pip compile --upgrade --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-emit-find-links --no-header --no-annotate \
  --extra trial --extra speech --extra dev pyproject.toml -o requirements.lock
