#!/usr/bin/env bash
# Tests the wheel of a directory in a new virtual environment of each Python, outside the source tree.
#
# usage: wheels/check.sh DIRECTORY [PYTHON...]      (default: every Python from 3.11 on that it finds)
set -euo pipefail
tests=$(cd "$(dirname "${BASH_SOURCE[0]}")/../tests/wheel" && pwd)
dist=$(cd "${1:?usage: wheels/check.sh DIRECTORY [PYTHON...]}" && pwd)
shift
name=$(sed -n 's/^name = "\(.*\)"/\1/p' "$tests/../../pyproject.toml")
work=$(mktemp -d)
screen=""
trap 'kill $screen 2>/dev/null || true; rm -rf "$work"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1
unset PYTHONPATH PYTHONHOME

if [ $# = 0 ]; then
    shopt -s nullglob
    set -- $(type -aP python3 python3.{11..19} || true) ~/.pyenv/versions/*/bin/python
fi
pythons=()
known=" "
for python in "$@"; do
    # A free-threaded Python cannot use a wheel of the stable ABI.
    place=$("$python" -c 'if 1:
        import ensurepip, os, sys, sysconfig, venv
        if sys.version_info >= (3, 11) and not sysconfig.get_config_var("Py_GIL_DISABLED"):
            print(os.path.realpath(sys.executable))' 2>/dev/null) || continue
    if [ -z "$place" ] || [[ $known == *" $place "* ]]; then continue; fi
    known+="$place "
    pythons+=("$python")
done
if [ ${#pythons[@]} = 0 ]; then
    echo "Found no Python 3.11 or newer with venv." >&2
    exit 1
fi

if [ -z "${DISPLAY:-}" ] && command -v Xvfb >/dev/null; then
    mkfifo "$work/number"
    Xvfb -displayfd 3 -screen 0 1280x960x24 -nolisten tcp 3>"$work/number" >"$work/xvfb" 2>&1 &
    screen=$!
    if read -r -t 60 number <"$work/number"; then export DISPLAY=":$number"; fi
fi

failed=0
# Run a step. Its output goes to $work/log; `result` is set to ok or FAILED.
attempt() {
    if (cd "$work" && "$@") >"$work/log" 2>&1; then
        result=ok
    else
        result=FAILED
        failed=1
        echo "FAILED: $*" >&2
        cat "$work/log" >&2
    fi
}
figure() { grep -o '[0-9./ ]* MB' "$work/log" | sed 's/^ *//' || true; }
installed() { "$bin/python" -m pytest -q -s "$tests/$1" -k "$2"; }
install() {
    # PhaseLock from the directory only, never from an index; then its dependencies.
    "$bin/python" -m pip install --quiet --no-index --no-deps --only-binary :all: --find-links "$dist" "$name" &&
        "$bin/python" -m pip install --quiet "$name" pytest
}

row='%-10s%-10s%-9s%-10s%-8s%-8s%-36s%-17s%-9s\n'
table=$(printf "$row" Python install import version whole demo window host "pip check")
for python in "${pythons[@]}"; do
    version=$("$python" -c 'import platform; print(platform.python_version())')
    echo "checking $(basename "$dist") with Python $version ($python)"
    home="$work/$version-${#table}"
    bin="$home/bin"
    "$python" -m venv "$home"
    attempt install; cells=("$result")
    if [ "$result" = FAILED ]; then
        table+=$'\n'$(printf "$row" "$version" "${cells[@]}")
        continue
    fi
    attempt "$bin/python" -I -c "import phaselock"; cells+=("$result")
    attempt "$bin/phaselock" --version; cells+=("$result")
    attempt installed check_installed.py "not demo"; cells+=("$result")
    attempt installed check_installed.py demo; cells+=("$result")
    if ! "$bin/python" -c "import tkinter" 2>/dev/null; then
        cells+=("SKIPPED: no Tk")
    elif [ -z "${DISPLAY:-}" ] && [ "$(uname -s)" = Linux ]; then
        cells+=("SKIPPED: no Xvfb")
    else
        attempt installed check_idle.py window; cells+=("$result $(figure)")
    fi
    if [ -e /proc/self/smaps_rollup ]; then
        attempt installed check_idle.py host; cells+=("$result $(figure)")
    else
        cells+=("SKIPPED")
    fi
    attempt "$bin/python" -m pip check; cells+=("$result")
    table+=$'\n'$(printf "$row" "$version" "${cells[@]}")
    rm -rf "$home"
done

printf '\n%s\n' "$table"
[ $failed = 0 ] || { echo "The wheel has failed." >&2; exit 1; }
echo "The wheel has passed. MB: resident memory. Window: at home, browsing, hosting in silence, at home after three jams."
