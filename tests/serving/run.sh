#!/usr/bin/env bash
# Tests `dlrm serve` with clients that others have written, in a virtual environment that is kept in target/ while
# requirements.txt is unchanged. DLRM_BIN names the dlrm command (default: the debug build). Arguments go to pytest,
# in the place of all tests.
set -euo pipefail
cd "$(dirname "$0")"
python="${PYTHON:-python3}"
root="$(realpath ../..)"
place="$root/target/serving-venv"
export DLRM_BIN="${DLRM_BIN:-$root/target/debug/dlrm}"

if ! [ -x "$DLRM_BIN" ]; then
    echo "$DLRM_BIN: expected the dlrm command, found none: run \`cargo build --workspace\`, or name it by DLRM_BIN" >&2
    exit 2
fi
if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
    apt-get update -qq && apt-get install -y -qq python3 python3-venv
fi
# The collector of metrics; its service is not started.
if ! command -v prometheus >/dev/null; then
    apt-get update -qq && RUNLEVEL=1 apt-get install -y -qq --no-install-recommends prometheus
fi
if ! cmp -s requirements.txt "$place/made-of.txt"; then
    rm -rf "$place"
    "$python" -m venv "$place"
    "$place/bin/pip" install --quiet --disable-pip-version-check -r requirements.txt
    cp requirements.txt "$place/made-of.txt"
fi
# What is skipped is said by name.
pytest=("$place/bin/pytest" --quiet -rs --no-fold-skipped)
if [ $# -gt 0 ]; then
    exec "${pytest[@]}" "$@"
fi
# Two clients bring messages of the same names, which one process cannot hold.
"${pytest[@]}" --ignore test_kserve.py
"${pytest[@]}" test_kserve.py
