#!/bin/sh
# The main job on real input, start to end: a daemon with an embedded ClickHouse, a small network
# trained on scikit-learn's handwritten digits, and the run read back. Asks nothing, ends by
# itself; everything it leaves is under .demo/.
set -eu
bin=$1
here=$(pwd)
data=$here/.demo/data
# A unix socket's path has at most 107 bytes, and a clone may lie deep: a short folder of its own.
runtime=$(mktemp -d "${TMPDIR:-/tmp}/stepwell-demo.XXXXXX")
STEPWELL_SOCKET=$runtime/stepwell.sock
STEPWELL_DATA=$data
STEPWELL_DIR=$here/.demo/journals
# A short run: sample the host often enough to see it.
STEPWELLD_SAMPLE_SECONDS=1
export STEPWELL_SOCKET STEPWELL_DATA STEPWELL_DIR STEPWELLD_SAMPLE_SECONDS
mkdir -p "$data"

"$bin/stepwell" up --data "$data" --socket "$STEPWELL_SOCKET" --port 0 >"$here/.demo/up.log" 2>&1 &
daemon=$!
finish() {
    kill -TERM "$daemon" 2>/dev/null || true
    wait "$daemon" 2>/dev/null || true
    rm -rf "$runtime"
}
trap finish EXIT
trap 'exit 130' INT TERM

tries=0
until "$bin/stepwell" status --json >/dev/null 2>&1; do
    tries=$((tries + 1))
    if [ "$tries" -gt 60 ] || ! kill -0 "$daemon" 2>/dev/null; then
        echo "the daemon did not start; its log:" >&2
        cat "$here/.demo/up.log" >&2
        exit 1
    fi
    sleep 0.5
done

"$bin/stepwell" run -- "$bin/python" examples/train_digits.py
echo
"$bin/stepwell" runs --limit 5
echo
run=$("$bin/stepwell" runs --limit 1 --json | "$bin/python" -c \
    'import json, sys; print(json.load(sys.stdin)[0]["run_id"])')
"$bin/stepwell" show "$run"
echo
echo "The demo's daemon has ended, and its page with it. What was recorded stays in .demo/data."
echo "Open the page on it:"
echo "    $bin/stepwell open $run --data .demo/data"
echo "or read it in the terminal:"
echo "    $bin/stepwell runs --data .demo/data"
