#!/usr/bin/env bash
# The time of a step where ranks lie in network namespaces of this machine and every link has a given speed, beside
# what is predicted for it: the time with links as fast as they can be, and the bytes of the formula at that speed, but
# for three quarters of the vectors, as far as they come while a quarter of a step is computed.
#
#   benches/network.sh [MBIT ...]      (default: 500 1000 2500)
#
# It needs root, `ip` and `tc` (Debian: iproute2), Open MPI, and a dlrm built with `--features mpi`, which DLRM_BIN
# names (default: target/release/dlrm). RANKS says how many (default: "2 4").
set -euo pipefail
shopt -s inherit_errexit
cd "$(dirname "$0")"
. ../tests/mpi/namespaces.sh
dlrm="$(realpath "${DLRM_BIN:-../target/release/dlrm}")"
rates="${*:-500 1000 2500}"
place="$(mktemp -d)"
trap 'without_namespaces; rm -rf "$place"' EXIT
can_have_namespaces || { echo "skipped: network namespaces with shaped links are not permitted here" >&2; exit 0; }

cd "$place"
"$dlrm" generate clicks --rows 200000 -q -o clicks >/dev/null
"$dlrm" prepare clicks/clicks.tsv --schema clicks/schema.toml -q -o prepared >/dev/null
settings="--preset paper --set data.baseline=mean --set train.linear_start=model --set train.lanes=16 --batch-size 2048
    --set model.bottom=[512,256,64] --set model.top=[512,256] --set model.embedding_dim=16
    --set train.evaluate_every=1000000 --set train.patience=0 --set train.epochs=10"

# Seconds of a step: what so many more steps take.
few=10 many=70
seconds() {
    local times=() steps begun
    for steps in $few $many; do
        rm -rf out
        begun=$(date +%s%N)
        # shellcheck disable=SC2086
        among "$1" "$dlrm" train -q --threads 1 prepared $settings --max-steps "$steps" -o out >/dev/null
        times+=($(($(date +%s%N) - begun)))
    done
    echo "$((times[1] - times[0])) $((many - few))" | awk '{ print $1 / $2 / 1e9 }'
}

echo "ranks  Mbit/s  ms a step  predicted  ratio"
for size in ${RANKS:-2 4}; do
    with_namespaces "$size"
    free="$(seconds "$size")"
    echo "$size unlimited $free" | awk '{ printf "%5d  %6s  %9.2f\n", $1, "free", 1e3 * $3 }'
    # shellcheck disable=SC2086
    bytes="$("$dlrm" plan prepared $settings --ranks "$size" --no-estimate --json 2>/dev/null | python3 -c '
import json, sys
most = max(json.load(sys.stdin)["ranks"], key=lambda rank: rank["sends_bytes"])
print(most["sends_bytes"], 0.75 * most["sends"]["vectors"])')"
    for rate in $rates; do
        shape "$size" "$rate"
        echo "$size $rate $(seconds "$size") $free $bytes" | awk '{ later = $6 * 8 / ($2 * 1e6) - $4 / 4
            predicted = $4 + ($5 - $6) * 8 / ($2 * 1e6) + (later > 0 ? later : 0)
            printf "%5d  %6d  %9.2f  %9.2f  %5.2f\n", $1, $2, 1e3 * $3, 1e3 * predicted, $3 / predicted }'
    done
    without_namespaces
done
