#!/usr/bin/env bash
# Packs the manylinux wheels of a directory and their dependencies into Debian packages: phaselock_VERSION_amd64.deb
# and phaselock_VERSION_arm64.deb, if there is a wheel for it (wheels/build.sh --all).
#
# usage: wheels/deb/build.sh DIRECTORY
# Needs dpkg-deb, Python with venv and tkinter, and access to PyPI. PYTHON=... is that Python (default: python3).
#
# /opt/phaselock is a virtual environment of the system's Python. The package contains all of its files: nothing is
# made or downloaded during the installation. It serves several versions of Python, so that the program still starts
# after an upgrade of the system.
set -euo pipefail
umask 022
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=$(cd "${1:?usage: wheels/deb/build.sh DIRECTORY}" && pwd)
name=$(sed -n 's/^name = "\(.*\)"/\1/p' "$here/../../pyproject.toml" | tr - _) # as in the names of files
pythons=(3.11 3.12 3.13 3.14)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1

"${PYTHON:-python3}" -m venv "$work/tools"
python="$work/tools/bin/python"
"$python" -m pip install --quiet --no-index --no-deps --find-links "$out" "$name"
"$python" -m pip install --quiet "$name" packaging
"$python" "$here/../icons.py" "$work/icons"
"$python" "$here/../manual.py" | gzip -9n >"$work/phaselock.1.gz"

shopt -s nullglob
made=()
for wheel in "$out/$name"-*manylinux*_{x86_64,aarch64}.whl; do
    case $wheel in
    *x86_64.whl) machine=x86_64 architecture=amd64 ;;
    *) machine=aarch64 architecture=arm64 ;;
    esac
    version=$(basename "$wheel" | cut -d- -f2)
    root=$work/$architecture
    house=$root/opt/phaselock
    share=$root/usr/share
    mkdir "$work/$machine"
    cp "$wheel" "$work/$machine"
    for one in "${pythons[@]}"; do
        mapfile -t required < <("$python" "$here/requirements.py" "$wheel" "$one" "$machine")
        "$python" -m pip download --quiet --dest "$work/$machine" --find-links "$out" --only-binary :all: \
            --implementation cp --python-version "$one" --platform "manylinux_2_28_$machine" \
            --platform "manylinux_2_17_$machine" --platform "manylinux2014_$machine" "${required[@]}"
    done

    mkdir -p "$house"/{bin,lib/python3/site-packages} "$root"/{DEBIAN,usr/bin} \
        "$share"/{applications,doc/phaselock,icons,man/man1,metainfo,python3/runtime.d}
    "$python" "$here/merge.py" "$house/lib/python3/site-packages" "$work/$machine"/*.whl
    for one in "${pythons[@]}"; do ln -s python3 "$house/lib/python$one"; done
    ln -s /usr/bin/python3 "$house/bin/python3"
    printf '%s\n' "home = /usr/bin" "include-system-site-packages = false" >"$house/pyvenv.cfg"
    printf '#!/bin/sh\nexec /opt/phaselock/bin/python3 -I -m phaselock "$@"\n' >"$root/usr/bin/phaselock"
    printf '#!/bin/sh\nexec /usr/bin/phaselock window "$@"\n' >"$root/usr/bin/phaselock-window"
    chmod 755 "$root"/usr/bin/*

    cp "$here/../../phaselock/data/phaselock.desktop" "$share/applications"
    cp "$here/../../phaselock/data/com.phaselock.app.metainfo.xml" "$share/metainfo"
    for size in 16 32 48 64 128 256 512; do
        mkdir -p "$share/icons/hicolor/${size}x$size/apps"
        cp "$work/icons/icon-$size.png" "$share/icons/hicolor/${size}x$size/apps/phaselock.png"
    done
    cp "$work/phaselock.1.gz" "$share/man/man1"
    ln -s phaselock.1.gz "$share/man/man1/phaselock-window.1.gz"
    {
        cat "$here/../../LICENSE"
        printf '\nThe package also contains these projects. The folder PROJECT-VERSION.dist-info in\n'
        printf '/opt/phaselock/lib/python3/site-packages has the text of each licence.\n\n'
        "$python" - "$house/lib/python3/site-packages" <<'PYTHON'
import importlib.metadata, sys
for one in sorted(importlib.metadata.distributions(path=sys.argv[1:]), key=lambda one: one.name):
    told = one.metadata
    classes = [item.split(" :: ")[-1] for item in told.get_all("Classifier", []) if item.startswith("License")]
    print(f"{one.name} {one.version}:", told["License-Expression"] or told["License"] or ", ".join(classes))
PYTHON
    } >"$share/doc/phaselock/copyright"

    # The same hook as in packages of Debian: python3 calls it when another version becomes the default.
    cat >"$share/python3/runtime.d/phaselock.rtupdate" <<'HOOK'
#!/bin/sh
set -e
if [ "$1" = rtupdate ]; then
    py3clean -p phaselock /opt/phaselock
    py3compile -p phaselock /opt/phaselock
fi
HOOK
    cat >"$root/DEBIAN/postinst" <<'SCRIPT'
#!/bin/sh
set -e
if [ "$1" = configure ]; then
    py3compile -p phaselock /opt/phaselock ||
        echo "phaselock: Python cannot compile its modules, so each start takes longer." >&2
fi
SCRIPT
    cat >"$root/DEBIAN/prerm" <<'SCRIPT'
#!/bin/sh
set -e
py3clean -p phaselock /opt/phaselock
SCRIPT
    chmod 755 "$root"/DEBIAN/p* "$share/python3/runtime.d/phaselock.rtupdate"
    # Sound systems are loaded if they are there. Ubuntu 24.04 and Debian 13 have renamed the library of ALSA.
    cat >"$root/DEBIAN/control" <<CONTROL
Package: phaselock
Version: $version
Architecture: $architecture
Section: sound
Priority: optional
Maintainer: The PhaseLock authors
Installed-Size: $(du -sk --exclude=DEBIAN "$root" | cut -f1)
Depends: libc6 (>= 2.28), python3 (>= ${pythons[0]}), python3 (<< 3.$((${pythons[-1]#3.} + 1))~), python3-tk
Recommends: libasound2t64 | libasound2, libfribidi0, libpulse0
Suggests: libjack-jackd2-0 | libjack0, libpipewire-0.3-0t64 | libpipewire-0.3-0
Description: synchronized music playback for groups
 PhaseLock turns the laptops in a room into one sound system. One computer
 hosts a session, others join it over the local network, and all of them play
 the same song at the same moment.
CONTROL
    rm -f "$out"/phaselock_*_"$architecture.deb"
    package=$out/phaselock_${version}_$architecture.deb
    dpkg-deb --root-owner-group -Zxz --build "$root" "$package" >"$work/log"
    made+=("$package")
done
[ ${#made[@]} -gt 0 ] || { echo "No wheel for Debian (manylinux) is in $out." >&2; exit 1; }
for package in "${made[@]}"; do
    printf '%6d kB  %s, installed %d kB\n' $(($(stat -c %s "$package") / 1000)) "$(basename "$package")" \
        "$(dpkg-deb --field "$package" Installed-Size)"
done
