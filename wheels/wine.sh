#!/usr/bin/env bash
# Runs the Windows Python of windows.sh under wine, with a prefix of its own in DIRECTORY/prefix.
#
# usage: wheels/wine.sh DIRECTORY [ARGUMENT of python.exe...]
# Needs Debian's packages wine and wine64, and a display for windows. Known of wine 8:
# - python.exe fails if its output or its errors go into a file; a pipe works: append `2>&1 | cat`.
# - After a crash the debugger opens and waits without a limit: here it is switched off.
# - Tk finds its files only if python.exe is started from drive C.
# - Processes of wine stay a while: WINEPREFIX=DIRECTORY/prefix wineserver -k ends them.
set -euo pipefail
directory=$(cd "$1" && pwd)
shift
export WINEARCH=win64 WINEPREFIX=$directory/prefix WINEDEBUG=${WINEDEBUG:--all}
export WINEDLLOVERRIDES="mscoree,mshtml=;winedbg.exe=d"
home=$WINEPREFIX/drive_c/phaselock
if [ ! -e "$home" ]; then
    wineboot --init >"$directory/wineboot.log" 2>&1
    debugger='HKLM\Software\Microsoft\Windows NT\CurrentVersion\AeDebug'
    wine reg add "$debugger" /v Debugger /d rundll32.exe /f >>"$directory/wineboot.log" 2>&1
    ln -s "$directory" "$home"
fi
exec wine 'C:\phaselock\python\python.exe' -X utf8 "$@"
