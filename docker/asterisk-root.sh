#!/bin/sh
# Build (once) a root folder with a real Asterisk and print its path.
#
#   docker/asterisk-root.sh 22    Debian forky, Asterisk 22
#   docker/asterisk-root.sh 16    Debian bullseye, Asterisk 16.28
#
# Debian 12 has no asterisk package, so the package of another suite goes into a folder of its own;
# nothing of the host is changed. The folder lies under the user's cache
# (${XDG_CACHE_HOME:-~/.cache}/callguard), so that a second clone finds it. Progress goes to stderr,
# the path to stdout. Needs root and debootstrap; takes a minute and 0.5 GB.
set -eu

version=${1:?usage: asterisk-root.sh 22|16}
case $version in
    # bookworm's debootstrap has no script for forky; the one for sid does the same work.
    22) suite=forky script=sid ;;
    16) suite=bullseye script=bullseye ;;
    *) echo "asterisk-root.sh: version '$version' is not one of: 22, 16" >&2; exit 2 ;;
esac

cache=${XDG_CACHE_HOME:-$HOME/.cache}/callguard
root=$cache/asterisk-$version
mkdir -p "$cache"

# One build at a time; a second caller waits and then finds the folder.
exec 9>"$root.lock"
flock 9
if [ -x "$root/usr/sbin/asterisk" ]; then
    echo "$root"
    exit 0
fi

# The mirror is the one that this machine's own apt uses.
mirror=${CALLGUARD_DEBIAN_MIRROR:-$(apt-get indextargets --format '$(CODENAME) $(COMPONENT) $(REPO_URI)' \
    "Created-By: Packages" | awk -v suite="$(. /etc/os-release; echo "$VERSION_CODENAME")" \
    '$1 == suite && $2 == "main" { print $3; exit }')}
if [ -z "$mirror" ]; then
    echo "asterisk-root.sh: no Debian mirror in apt's settings; set CALLGUARD_DEBIAN_MIRROR to one" >&2
    exit 4
fi

echo "Building a root folder with Asterisk $version (Debian $suite), once: about a minute, 0.5 GB" >&2
partial=$root.partial
rm -rf "$partial"
debootstrap --variant=minbase \
    --include=asterisk,asterisk-core-sounds-en-gsm,ca-certificates \
    "$suite" "$partial" "$mirror" "/usr/share/debootstrap/scripts/$script" >"$root.log" 2>&1 9>&- || {
    echo "asterisk-root.sh: debootstrap failed; the last lines of $root.log:" >&2
    tail -5 "$root.log" >&2
    exit 4
}
rm -rf "$partial/var/cache/apt/archives" "$partial/var/lib/apt/lists"
mv "$partial" "$root"
echo "$root"
