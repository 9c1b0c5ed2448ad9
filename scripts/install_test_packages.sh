#!/bin/sh
# Install what the tests need from Debian and that is not there yet: a real Prometheus, a real
# ClickHouse server, ZooKeeper for a cluster of them, a chromium for the page, systemd and strace for
# the units in deploy/, a C compiler for the played NVML, and a torch without CUDA for its DataLoader.
# Without root or apt the tests that need it say so and are skipped; CI must have it.
set -eu
missing=""
command -v prometheus >/dev/null 2>&1 || missing="$missing prometheus"
command -v clickhouse-server >/dev/null 2>&1 || missing="$missing clickhouse-server"
command -v chromium >/dev/null 2>&1 || missing="$missing chromium"
command -v systemd-analyze >/dev/null 2>&1 || missing="$missing systemd"
command -v strace >/dev/null 2>&1 || missing="$missing strace"
command -v cc >/dev/null 2>&1 || missing="$missing gcc libc6-dev"
[ -e /usr/share/java/zookeeper.jar ] || missing="$missing zookeeper"
[ -d /usr/lib/postgresql ] || missing="$missing postgresql"
torch=""
[ -d /usr/lib/python3/dist-packages/torch ] || torch=python3-torch
[ -n "$missing$torch" ] || exit 0
as_root=""
if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null 2>&1; then
        echo "not installed, as this needs root:$missing $torch" >&2
        exit 0
    fi
    as_root=sudo
fi
if ! command -v apt-get >/dev/null 2>&1; then
    echo "not installed, as there is no apt-get:$missing $torch" >&2
    exit 0
fi
install() {
    echo "installing $*" >&2
    DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
        $as_root apt-get install -y -qq --no-install-recommends "$@" >&2
}
$as_root apt-get update -qq >&2 || [ -z "$missing" ]
# shellcheck disable=SC2086
[ -z "$missing" ] || install $missing
# One test needs it, which is skipped without.
[ -z "$torch" ] || install "$torch" || echo "not installed: $torch" >&2
