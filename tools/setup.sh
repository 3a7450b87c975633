#!/usr/bin/env bash
# Makes the Python environment from requirements.lock. Usage: setup.sh VENV
# Works without root and without python3-venv: Debian splits pip's wheel into a package of its own
# (python3-pip-whl), which is then fetched by name, unpacked and used for this one bootstrap.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=$1

fail() { echo "setup: $*" >&2; exit 1; }

python=${PYTHON:-}
if [ -z "$python" ]; then
  for candidate in python3.11 python3.12 python3.13 python3.14 python3; do
    if command -v "$candidate" >/dev/null && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      python=$candidate; break
    fi
  done
fi
[ -n "$python" ] || fail "no Python 3.11 or newer found; install python3 and run again"

pip_from_package() {
  command -v apt-get >/dev/null || fail "this Python has no ensurepip; install python3-venv and run again"
  local work; work=$(mktemp -d)
  echo "setup: fetching pip's wheel (package python3-pip-whl)"
  (cd "$work" && { apt-get download -q python3-pip-whl >/dev/null 2>&1 || {
      mkdir -p lists/partial
      apt-get -q -o Dir::State::lists="$work/lists" -o Debug::NoLocking=1 update >/dev/null &&
      apt-get -q -o Dir::State::lists="$work/lists" download python3-pip-whl >/dev/null; }; }) \
    || fail "cannot fetch python3-pip-whl; install python3-venv and run again"
  dpkg -x "$work"/python3-pip-whl_*.deb "$work/root"
  local wheel; wheel=$(echo "$work"/root/usr/share/python-wheels/pip-*.whl)
  "$venv/bin/python" "$wheel/pip" install -q --no-index "$wheel"
  rm -rf "$work"
}

if [ ! -x "$venv/bin/pip" ]; then
  rm -rf "$venv"
  if ! "$python" -m venv "$venv" >/dev/null 2>&1; then
    rm -rf "$venv"
    "$python" -m venv --without-pip "$venv" || fail "cannot make a virtual environment with $python"
    pip_from_package
  fi
fi
"$venv/bin/python" -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
pwd > "$site/patchbay-checkout.pth"
printf '#!/bin/sh\nexec "%s/bin/python" -m gateway.cli "$@"\n' "$(cd "$venv" && pwd)" > "$venv/bin/patchbay"
chmod +x "$venv/bin/patchbay"
