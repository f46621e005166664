#!/bin/sh
# Make this checkout ready to run, doing only what is not done yet.
#
#   docker/setup.sh python   .venv with callguard and the tools of its developers
#   docker/setup.sh all      also the Debian packages that the demo and the system tests need, and the root
#                            folder of each Asterisk named ($ASTERISK, by default 22)
#
# Written for Debian 12 and newer, as root or with sudo. The services that come with Debian's redis-server and
# postgresql packages are neither started nor used: callguard starts servers of its own.
set -eu
cd "$(dirname "$0")/.."

step() { printf '\033[1m==> %s\033[0m\n' "$*" >&2; }
fail() { printf 'setup.sh: %s\n' "$*" >&2; exit 4; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null; then sudo "$@"
    else fail "needs root for: $* (install sudo, or run as root)"
    fi
}

# Install those of the packages that are missing. Debian would start a service on the spot, on the standard port:
# a policy-rc.d in place forbids it for the time of the installation, and the units are then disabled.
install_packages() {
    missing=
    for package; do
        dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed ||
            missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    command -v apt-get >/dev/null || fail "not a Debian system; install these by hand:$missing"
    step "Debian packages:$missing"
    as_root sh -eu -c '
        policy=/usr/sbin/policy-rc.d
        if [ ! -e $policy ]; then
            trap "rm -f $policy" EXIT
            trap "exit 130" INT TERM
            printf "#!/bin/sh\nexit 101\n" >$policy
            chmod 755 $policy
        fi
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends "$@" >/dev/null
        if [ -d /run/systemd/system ]; then
            for package; do
                case $package in redis-server|postgresql) systemctl --quiet disable $package || true ;; esac
            done
        fi
    ' sh $missing || fail "apt-get could not install:$missing"
}

prepare_python() {
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || install_packages python3
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "needs Python 3.11 or newer, not $(python3 --version)"
    python3 -c 'import ensurepip' 2>/dev/null || install_packages python3-venv

    stamp=.venv/callguard-stamp
    wanted=$(cat pyproject.toml docker/setup.sh | sha256sum)
    [ -x .venv/bin/callguard ] && [ "$(cat $stamp 2>/dev/null)" = "$wanted" ] && return 0
    step "Python packages, into .venv"
    [ -x .venv/bin/python ] || python3 -m venv .venv
    # Dependency groups need pip 25.1.
    .venv/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
    .venv/bin/python -m pip install --quiet --editable . --group dev
    echo "$wanted" >$stamp
}

prepare_asterisk() {
    # The same choice as tests/rig makes: without ASTERISK, the system's own where it is 16 or newer.
    if [ -z "${ASTERISK:-}" ] && command -v asterisk >/dev/null; then
        major=$(asterisk -V | sed -n 's/^Asterisk \([0-9]*\).*/\1/p')
        [ "${major:-0}" -ge 16 ] && return 0
    fi
    for version in ${ASTERISK:-22}; do
        as_root env "XDG_CACHE_HOME=${XDG_CACHE_HOME:-$HOME/.cache}" docker/asterisk-root.sh "$version" >/dev/null
    done
}

case ${1:-all} in
    python) prepare_python ;;
    all)
        install_packages ca-certificates debootstrap espeak-ng openssl postgresql redis-server sip-tester sox util-linux
        prepare_python
        prepare_asterisk
        ;;
    *) echo "setup.sh: '$1' is not one of: python, all" >&2; exit 2 ;;
esac
