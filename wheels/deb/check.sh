#!/usr/bin/env bash
# Installs, upgrades, starts and removes the Debian package of a directory in a new, bare Debian 12.
#
# usage: wheels/deb/check.sh DIRECTORY [PICTURE]      (PICTURE: a file for a picture of the window)
# Runs as root. Needs Debian's packages debootstrap, x11-utils and xvfb, for a picture also imagemagick.
# SUITE=... is another release of Debian (default: bookworm). MIRROR=... is the archive.
set -euo pipefail
dist=$(cd "${1:?usage: wheels/deb/check.sh DIRECTORY [PICTURE]}" && pwd)
picture=${2:-}
new=$(echo "$dist"/phaselock_*_"$(dpkg --print-architecture)".deb)
version=$(dpkg-deb --field "$new" Version)
work=$(mktemp -d)
root=$work/root
screen=""
trap 'kill $screen 2>/dev/null || true; rm -rf "$work"' EXIT
step() { printf '== %s (%d s)\n' "$1" "$SECONDS"; }
fail() { echo "The package has failed: $1" >&2; exit 1; }

# Run a command inside. What is mounted for it is gone when it ends, and so are all processes that it leaves.
inside() {
    unshare --mount-proc="$root/proc" --pid --fork --kill-child \
        chroot "$@" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
        DISPLAY="${DISPLAY:-}" HOME=/home/guest "${command[@]}"
}
as_root() { command=("$@"); inside "$root"; }
as_guest() { command=("$@"); inside --userspec=guest:guest "$root"; }
install() {
    as_root apt-get install -qq -y --no-install-recommends -o Dpkg::Use-Pty=0 "$1" >"$work/log" 2>&1 ||
        { cat "$work/log" >&2; fail "$1 cannot be installed"; }
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

step "a bare Debian"
debootstrap --variant=minbase "${SUITE:-bookworm}" "$root" "${MIRROR:-http://deb.debian.org/debian}" >"$work/log" ||
    { tail "$work/log" >&2; exit 1; }
as_root useradd --create-home guest

step "install an older version"
dpkg-deb --raw-extract "$new" "$work/old"
sed -i 's/^Version: .*/Version: 0~old/' "$work/old/DEBIAN/control"
touch "$work/old/opt/phaselock/lib/python3/site-packages/phaselock/only_in_the_old_version.py"
dpkg-deb --root-owner-group -Znone --build "$work/old" "$root/old.deb" >"$work/log"
cp "$new" "$root/new.deb"
install /old.deb

step "upgrade while the program runs"
mkfifo "$work/typed"
as_guest phaselock host --bind 127.0.0.1 --port 0 --clock-port 0 --backend null --json \
    <"$work/typed" >"$work/host" 2>"$work/errors" &
host=$!
exec 4>"$work/typed"
until_ok $host "$work/errors" grep -q '"session"' "$work/host"
install /new.deb
echo quit >&4
exec 4>&-
wait $host || fail "the host did not end well: $(cat "$work/errors")"
as_root find /opt/phaselock -name '*only_in_the_old_version*' | grep . && fail "files of the older version are left"
as_root dpkg --verify phaselock | grep . && fail "these files of the package were changed"

step "run it"
said=$(as_guest phaselock --version)
[ "$said" = "phaselock $version" ] || fail "its version is '$said', not $version"
as_guest test -e /opt/phaselock/lib/python3/site-packages/phaselock/__pycache__ || fail "it is not compiled"
as_guest phaselock demo --seconds 4

step "open its window"
mkfifo "$work/number"
Xvfb -displayfd 3 -screen 0 1280x960x24 -nolisten tcp 3>"$work/number" >"$work/log" 2>&1 &
screen=$!
read -r -t 60 number <"$work/number"
export DISPLAY=":$number"
as_guest phaselock-window --backend null >"$work/window" 2>&1 &
window=$!
visible() { xwininfo -name PhaseLock 2>/dev/null | grep -q IsViewable; }
until_ok $window "$work/window" visible
[ -z "$picture" ] || import -display "$DISPLAY" -window root "$picture"
kill $window
wait $window || true
[ ! -s "$work/window" ] || fail "the window says: $(cat "$work/window")"

step "remove it"
as_guest mkdir -p /home/guest/.config/phaselock
as_guest touch /home/guest/.config/phaselock/settings.json
rm "$root"/{old,new}.deb
as_root apt-get purge -qq -y -o Dpkg::Use-Pty=0 phaselock >"$work/log" 2>&1 || { cat "$work/log" >&2; fail "it stays"; }
[ -e "$root/home/guest/.config/phaselock/settings.json" ] || fail "a user's settings are gone"
left=$(cd "$root" && find . -xdev -path '*phaselock*' -not -path './home/*' -not -path './var/log/*')
[ -z "$left" ] || fail "these files are left: $left"
step "The package has passed."
