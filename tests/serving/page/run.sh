#!/usr/bin/env bash
# Installs what the tests of the page need, and runs them: DLRM_BIN=target/debug/dlrm tests/serving/page/run.sh [DIR]
# DIR takes screenshots. Node.js 20 or newer and Chromium (CHROMIUM, or where Debian has it) are needed.
set -euo pipefail
export DLRM_BIN="$(realpath "${DLRM_BIN:?expected the path of the dlrm command}")"
screenshots="${1:+$(realpath -m "$1")}"
cd "$(dirname "$0")"
npm ci --silent --no-audit --no-fund
exec node run.mjs $screenshots
