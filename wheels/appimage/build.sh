#!/usr/bin/env bash
# Packs the Linux wheel of a directory, its dependencies and a Python with Tk into DIRECTORY/PhaseLock-*.AppImage.
# Needs python-appimage (from PyPI; it downloads Python and appimagetool from GitHub) and build/icon (wheels/icons.py).
#
# usage: wheels/appimage/build.sh DIRECTORY [ARGUMENT of python-appimage...]
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=$(cd "${1:?usage: wheels/appimage/build.sh DIRECTORY}" && pwd)
shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$here/phaselock.desktop" "$here/entrypoint.sh" "$work"
cp "$here/../../build/icon/icon.png" "$work/phaselock.png"
echo "$out"/*-cp311-abi3-manylinux*_x86_64.whl >"$work/requirements.txt"
cd "$out"
python3 -m python_appimage build app --python-version 3.13 "$@" "$work"
