#!/usr/bin/env bash
# Packs the Windows wheel of a directory, its dependencies and a Python with Tk into DIRECTORY/PhaseLock-VERSION.msi.
# A user installs it without the rights of an administrator.
#
# usage: wheels/msi/build.sh DIRECTORY [VERSION]      (default: the version of the wheel; another one tests upgrades)
# Needs wixl and msibuild (Debian's packages wixl and msitools).
# PYTHON=... is a Python with PhaseLock and Tk, of the same version as the Windows Python (default: python3).
# PHASELOCK_EMBEDDABLE and PHASELOCK_TK are for windows.sh.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=$(cd "${1:?usage: wheels/msi/build.sh DIRECTORY [VERSION]}" && pwd)
wheel=$(echo "$out"/*-win_amd64.whl)
version=${2:-$(basename "$wheel" | cut -d - -f 2)}
export PYTHON=${PYTHON:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

"$here/../windows.sh" PhaseLock "$wheel"
python=PhaseLock/python packages=PhaseLock/python/Lib/site-packages

# Leave out what PhaseLock does not use: parts of Tcl, the launchers that pip makes for Linux, and what pip notes.
rm -rf "$packages/bin" "$packages"/*.dist-info/{direct_url.json,INSTALLER,REQUESTED} "$python/tkinter/test"
find "$python/tcl" -mindepth 1 -maxdepth 1 ! -name 'tcl8*' ! -name 'tk8*' -exec rm -r {} +
rm -rf "$python"/tcl/tcl8.?/tzdata "$python"/tcl/tk8.?/demos

# Windows removes only files that it has installed. Compile all modules now, and let Python write no others. Python
# compares the hash of each source: the time of an installed file is not that of the source.
pth=$(echo "$python"/python3??._pth)
sed -i '/program/d' "$pth"
echo "import sys; sys.dont_write_bytecode = True" >"$packages/no_bytecode.pth"
"$PYTHON" -m compileall -q --invalidation-mode checked-hash -s "$work" "$python/tkinter" "$packages"
cached=$(cd "$packages/phaselock/__pycache__" && echo __main__.*.pyc)
if [ "$cached" != "__main__.cpython-${pth//[!0-9]/}.pyc" ]; then
    echo "$PYTHON has made $cached, which $(basename "$pth" ._pth) does not read. Set PYTHON." >&2
    exit 1
fi

printf '@"%%~dp0python\\python.exe" -m phaselock %%*\r\n' >PhaseLock/phaselock.cmd
cp "$here/close.py" PhaseLock
PYTHONPATH=$here/../.. "$PYTHON" "$here/../icons.py" icons
cp icons/icon.ico PhaseLock/phaselock.ico

PYTHONPATH=$here/../.. "$PYTHON" "$here/describe.py" "$version"
wixl --arch x64 --output phaselock.msi phaselock.wxs
msibuild phaselock.msi -i Environment.idt -i MsiShortcutProperty.idt
mv phaselock.msi "$out/PhaseLock-$version.msi"
du -sh --apparent-size PhaseLock "$out/PhaseLock-$version.msi"
