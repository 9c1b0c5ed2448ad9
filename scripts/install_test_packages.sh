#!/bin/sh
# Install what the tests need from Debian and that is not there yet: a real Prometheus, a real
# ClickHouse server, ZooKeeper for a cluster of them, and a torch without CUDA for its DataLoader.
# Without root or apt the tests that need it say so and are skipped; CI must have it.
set -eu
missing=""
command -v prometheus >/dev/null 2>&1 || missing="$missing prometheus"
command -v clickhouse-server >/dev/null 2>&1 || missing="$missing clickhouse-server"
[ -e /usr/share/java/zookeeper.jar ] || missing="$missing zookeeper"
[ -d /usr/lib/python3/dist-packages/torch ] || missing="$missing python3-torch"
[ -n "$missing" ] || exit 0
as_root=""
if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null 2>&1; then
        echo "not installed, as this needs root:$missing" >&2
        exit 0
    fi
    as_root=sudo
fi
if ! command -v apt-get >/dev/null 2>&1; then
    echo "not installed, as there is no apt-get:$missing" >&2
    exit 0
fi
echo "installing$missing" >&2
$as_root apt-get update -qq >&2
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 $as_root apt-get install -y -qq --no-install-recommends \
    $missing >&2
