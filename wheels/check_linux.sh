#!/usr/bin/env bash
# Tests the AppImage and the Debian package of a directory in a new, bare Debian 12: both start, play and open the
# window; the package is installed, upgraded while the program runs, and removed without a trace.
#
# usage: wheels/check_linux.sh DIRECTORY [FOLDER]      (FOLDER: for pictures of the windows)
# Runs as root. Needs Debian's packages debootstrap, x11-utils and xvfb, for pictures also imagemagick.
# SUITE=... is another release of Debian (default: bookworm). MIRROR=... is the archive.
set -euo pipefail
dist=$(cd "${1:?usage: wheels/check_linux.sh DIRECTORY [FOLDER]}" && pwd)
pictures=${2:-}
package=$(echo "$dist"/phaselock_*_"$(dpkg --print-architecture)".deb)
version=$(dpkg-deb --field "$package" Version)
work=$(mktemp -d)
root=$work/root
screen=""
trap 'kill $screen 2>/dev/null || true; rm -rf "$work"' EXIT
step() { printf '== %s (%d s)\n' "$1" "$SECONDS"; }
fail() { echo "FAILED: $1" >&2; exit 1; }

apt() {
    "${admin[@]}" apt-get -qq -y -o Dpkg::Use-Pty=0 "$@" >"$work/log" 2>&1 || { cat "$work/log" >&2; fail "apt-get $*"; }
}

# Wait until a command succeeds, at most a minute and only while the process $1 runs. $2 is the file of its output.
until_ok() {
    local process=$1 said=$2 limit=$((SECONDS + 60))
    shift 2
    until "$@"; do
        kill -0 "$process" && [ $SECONDS -lt $limit ] || fail "in vain: $*; it says: $(cat "$said")"
        sleep 0.1
    done
}

# Run the program that these words start: its version, a tune, and its window.
program() {
    local name=$1 said window
    shift
    said=$("${guest[@]}" "$@" --version)
    [ "$said" = "phaselock $version" ] || fail "the version of the $name is '$said', not $version"
    "${guest[@]}" "$@" demo --seconds 4
    "${guest[@]}" "$@" window --backend null >"$work/window" 2>&1 &
    window=$!
    until_ok $window "$work/window" visible
    [ -z "$pictures" ] || import -window root "$pictures/$name.png"
    kill -KILL $window # unshare ignores other signals
    wait $window 2>/dev/null || true
    [ ! -s "$work/window" ] || fail "the window of the $name says: $(cat "$work/window")"
}
visible() { xwininfo -name PhaseLock 2>/dev/null | grep -q IsViewable; }

mkfifo "$work/number" "$work/typed"
Xvfb -displayfd 3 -screen 0 1280x960x24 -nolisten tcp 3>"$work/number" >"$work/log" 2>&1 &
screen=$!
read -r -t 60 number <"$work/number"
export DISPLAY=":$number"

# The beginnings of commands that run inside. When such a command ends, its mounts and its processes end, too.
inside=(unshare --mount-proc="$root/proc" --pid --fork --kill-child chroot)
clean=(env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive DISPLAY="$DISPLAY")
admin=("${inside[@]}" "$root" "${clean[@]}" HOME=/root)
guest=("${inside[@]}" --userspec=guest:guest "$root" "${clean[@]}" HOME=/home/guest)

step "a bare Debian"
debootstrap --variant=minbase "${SUITE:-bookworm}" "$root" "${MIRROR:-http://deb.debian.org/debian}" >"$work/log" ||
    { tail "$work/log" >&2; exit 1; }
"${admin[@]}" useradd --create-home guest

step "the AppImage, without Python and Tk of the system"
apt install --no-install-recommends fonts-dejavu-core libfontconfig1 libx11-6
"${admin[@]}" sh -c '! command -v python3' || fail "this Debian has a Python already"
cp "$dist"/PhaseLock-*-x86_64.AppImage "$root/AppImage"
program AppImage /AppImage --appimage-extract-and-run

step "install an older package"
dpkg-deb --raw-extract "$package" "$work/old"
sed -i 's/^Version: .*/Version: 0~old/' "$work/old/DEBIAN/control"
touch "$work/old/opt/phaselock/lib/python3/site-packages/phaselock/only_in_the_old_version.py"
dpkg-deb --root-owner-group -Znone --build "$work/old" "$root/old.deb" >"$work/log"
cp "$package" "$root/new.deb"
apt install --no-install-recommends /old.deb

step "upgrade while the program runs"
"${guest[@]}" phaselock host --bind 127.0.0.1 --port 0 --clock-port 0 --backend null --json \
    <"$work/typed" >"$work/host" 2>"$work/errors" &
host=$!
exec 4>"$work/typed"
until_ok $host "$work/errors" grep -q '"session"' "$work/host"
apt install --no-install-recommends /new.deb
echo quit >&4
exec 4>&-
wait $host || fail "the host did not end well: $(cat "$work/errors")"
"${admin[@]}" find /opt/phaselock -name '*only_in_the_old_version*' | grep . && fail "files of the older version are left"
"${admin[@]}" dpkg --verify phaselock | grep . && fail "these files of the package were changed"
"${admin[@]}" test -e /opt/phaselock/lib/python3/site-packages/phaselock/__pycache__ || fail "it is not compiled"

step "the new package"
program package phaselock

step "remove it"
"${guest[@]}" sh -c 'mkdir -p ~/.config/phaselock && echo {} >~/.config/phaselock/settings.json'
rm "$root"/{old,new}.deb
apt purge phaselock
[ -e "$root/home/guest/.config/phaselock/settings.json" ] || fail "a user's settings are gone"
# An AppImage that is killed leaves what it has extracted in /tmp.
left=$(cd "$root" && find . -xdev -path '*phaselock*' -not -path './home/*' -not -path './var/log/*' -not -path './tmp/*')
[ -z "$left" ] || fail "these files are left: $left"
step "The AppImage and the package have passed."
