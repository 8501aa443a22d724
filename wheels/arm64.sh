#!/usr/bin/env bash
# Makes DIRECTORY/python: a command that runs Debian's Python 3.11 for ARM64 under qemu, and installs wheels for it.
# Modules in DIRECTORY/program are found before installed ones.
#
# usage: wheels/arm64.sh DIRECTORY REQUIREMENT...      (a requirement: as for pip install)
# Needs Debian's package qemu-user-static. PYTHON=... is the Python 3.11 whose pip is used (default: python3).
# qemu on x86-64 keeps the order of memory accesses of x86-64: it cannot show an error that only ARM's order causes.
set -euo pipefail
mkdir -p "$1"/{lists/partial,archives/partial,root}
cd "$1"
shift
touch status
apt=(
    apt-get -q -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Sandbox::User=root
    -o Dir::State::lists="$PWD/lists" -o Dir::State::status="$PWD/status"
    -o Dir::Cache::archives="$PWD/archives" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=
)
"${apt[@]}" update >apt.log
"${apt[@]}" install -y --no-install-recommends --download-only python3 libstdc++6 >>apt.log
for package in archives/*.deb; do dpkg -x "$package" root; done
rm -r archives lists

"${PYTHON:-python3}" -m pip install --quiet --disable-pip-version-check --target site --python-version 3.11 \
    --implementation cp --platform manylinux_2_28_aarch64 --platform manylinux_2_17_aarch64 \
    --platform manylinux2014_aarch64 --only-binary :all: "$@"
cat >python <<SCRIPT
#!/bin/sh
export PYTHONSAFEPATH=1 PYTHONPATH=$PWD/program:$PWD/site
exec qemu-aarch64-static -L $PWD/root $PWD/root/usr/bin/python3.11 "\$@"
SCRIPT
chmod +x python
# The kernel cannot start the ARM program itself: what starts sys.executable starts the script.
echo "import sys; sys.executable = '$PWD/python'" >site/sitecustomize.py
