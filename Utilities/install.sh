#!/bin/sh
# Makes .venv with the pinned packages and this package in it, or does nothing where that has been done.
# Called by the Makefile. PYTHON names another interpreter than the one that is found.
set -eu
cd "$(dirname "$0")/.."

fits='import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))'

fail() {
    echo "error: $1" >&2
    exit 2
}

is_debian_root() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null
}

apt_install() {
    echo "Installing system packages: $*"
    DEBIAN_FRONTEND=noninteractive apt-get -qq update </dev/null &&
        DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$@" </dev/null
}

find_python() {
    for candidate in ${PYTHON:-python3.12 python3.11 python3.10 python3.13 python3}; do
        if "$candidate" -c "$fits" 2>/dev/null; then
            python=$candidate
            return 0
        fi
    done
    return 1
}

if ! find_python; then
    [ -z "${PYTHON:-}" ] || fail "PYTHON=$PYTHON is not Python 3.10 to 3.13; name another one, or leave PYTHON out"
    ! is_debian_root || command -v python3 >/dev/null || apt_install python3 python3-venv || true
    find_python ||
        fail "Python 3.10 to 3.13 is needed, and $(python3 --version 2>/dev/null || echo 'no Python') was found; install one (Debian, Ubuntu: apt-get install python3 python3-venv) or name it: make test PYTHON=/path/to/python3"
fi

# What .venv was made from; the same text means that nothing has to be installed.
wanted=$(mktemp)
trap 'rm -f "$wanted"' EXIT
cat requirements-pinned.txt pyproject.toml >"$wanted"
if .venv/bin/python -c "$fits" 2>/dev/null && cmp -s "$wanted" .venv/installed; then
    exit 0
fi

if ! .venv/bin/python -c "$fits" 2>/dev/null || ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        package=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
        { is_debian_root && apt_install "$package"; } ||
            fail "$python cannot make virtual environments; install its venv module first (Debian, Ubuntu: apt-get install $package)"
    fi
    echo "Making .venv with $("$python" --version)"
    "$python" -m venv --clear .venv
fi

echo "Installing the pinned packages into .venv (PyTorch is large: this takes some minutes)"
export PIP_DISABLE_PIP_VERSION_CHECK=1
quiet=--quiet
if [ -t 1 ]; then quiet=; fi
.venv/bin/python -m pip install $quiet --requirement requirements-pinned.txt ||
    fail "the packages of requirements-pinned.txt could not be installed; see above, check the connection, and run the same command again"
.venv/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
mv "$wanted" .venv/installed
