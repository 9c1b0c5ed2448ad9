#!/bin/sh
# Make the virtual environment $2 with the interpreter $1, installing Debian's venv package if
# it is missing. Prints only what went wrong.
set -eu
python=$1
folder=$2

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    echo "stepwell needs Python 3.11 or newer; '$python' is not. Name one: make PYTHON=/path/to/python3.11" >&2
    exit 1
fi
if [ ! -x "$folder/bin/python" ] || ! "$folder/bin/python" -m pip --version >/dev/null 2>&1; then
    rm -rf "$folder"
    if ! "$python" -m venv "$folder" >/dev/null 2>&1; then
        rm -rf "$folder"
        as_root=""
        [ "$(id -u)" = 0 ] || as_root=sudo
        echo "installing Debian's python3-venv" >&2
        $as_root apt-get update -qq >&2
        DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq python3-venv >&2
        "$python" -m venv "$folder"
    fi
fi
