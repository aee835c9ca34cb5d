#!/bin/sh
# create_venv.sh <folder>: create a virtual environment there with $PYTHON or, if that is empty, with the newest suitable
# Python on PATH. If something is missing for that, one line says what, and nothing is created.

# The version of the Python $1, if it runs, has the module $2, and every pin of requirements.txt has a wheel for it.
version_with() {
    "$1" -c "import sys, $2; print('%d.%d' % sys.version_info[:2])" 2> /dev/null | grep -x '3\.1[123]'
}

stop() {
    echo "$1" >&2
    exit 1
}

if [ -z "$PYTHON" ]; then
    for name in python3.13 python3.12 python3.11 python3; do
        case python$(version_with $name sys) in "$name"*) PYTHON=$name && break ;; esac
    done
    [ "$PYTHON" ] || stop "no Python 3.11, 3.12 or 3.13 is on PATH: install one, or name one: make PYTHON=path/to/python"
fi
version=$(version_with "$PYTHON" sys) || stop "PYTHON=$PYTHON is not Python 3.11, 3.12 or 3.13"
version_with "$PYTHON" ensurepip > /dev/null ||
    stop "$PYTHON cannot create an environment without its module ensurepip: apt install python$version-venv (Debian, Ubuntu)"
"$PYTHON" -m venv --clear "$1"
