#!/bin/sh
# Make or refresh an environment: install.sh PYTHON FOLDER LOCK [PACKAGE]
# PACKAGE is a source folder, installed as it is so that an edit is in force at once.
#
# uv comes through pip, into a folder of its own, so the machine's Python stays as it was; what is
# installed is pinned by version and hash. Where pip has been told of a mirror, uv is told as well.
# Without uv (no build of it for this machine) pip and venv do the same work, slower.
set -eu

python=$1
folder=$2
lock=$3
package=${4:-}
here=$(cd "$(dirname "$0")/.." && pwd)
tool="$here/.env-uv"

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "Bucle needs Python 3.11 or newer; $python is older. Try: make PYTHON=python3.11" >&2
    exit 2
}

if [ ! -x "$tool/bin/uv" ]; then
    "$python" -m pip install -qqq --root-user-action=ignore --disable-pip-version-check --no-input \
        --require-hashes --only-binary :all: \
        --target "$tool" --upgrade --requirement "$here/requirements/uv.lock" || {
        rm -rf "$tool"
        echo "uv cannot be had here; going on with pip, which takes a minute" >&2
    }
fi

mirror=${PIP_INDEX_URL:-$("$python" -m pip config get global.index-url 2>/dev/null || true)}
if [ -n "$mirror" ] && [ -z "${UV_DEFAULT_INDEX:-}" ]; then
    UV_DEFAULT_INDEX=$mirror
    export UV_DEFAULT_INDEX
fi
UV_PYTHON_DOWNLOADS=never
UV_NO_PROGRESS=1
export UV_PYTHON_DOWNLOADS UV_NO_PROGRESS
# Every command of the project's own environment starts a process: none should have to compile.
[ -z "$package" ] || export UV_COMPILE_BYTECODE=1

with_uv() {
    [ -x "$tool/bin/uv" ] || return 1
    [ -x "$folder/bin/python" ] ||
        "$tool/bin/uv" venv --quiet --python "$("$python" -c 'import sys; print(sys.executable)')" \
            "$folder" || return 1
    VIRTUAL_ENV=$folder "$tool/bin/uv" pip install --quiet --require-hashes \
        --requirement "$lock" || return 1
    [ -z "$package" ] || VIRTUAL_ENV=$folder "$tool/bin/uv" pip install --quiet --no-deps --no-build-isolation \
        --editable "$package"
}

with_pip() {
    [ -x "$folder/bin/pip" ] || "$python" -m venv --clear "$folder"
    "$folder/bin/pip" install -qq --disable-pip-version-check --no-input --require-hashes \
        --requirement "$lock"
    [ -z "$package" ] || "$folder/bin/pip" install -qq --disable-pip-version-check --no-input --no-deps \
        --no-build-isolation --editable "$package"
}

with_uv || with_pip
