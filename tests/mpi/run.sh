#!/usr/bin/env bash
# Tests `mpirun dlrm train`: the model of several ranks has the bytes of one process, whatever is killed on the way.
# DLRM_BIN names a dlrm command built with `--features mpi` (default: it is built). KILLS (default: 3) is how many
# jobs of EPOCHS epochs (default: 24) lose a rank, in the time that one process takes for all of them.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/mpi/namespaces.sh
export CARGO_INCREMENTAL=0
place="$(mktemp -d)"
trap 'without_namespaces; rm -rf "$place"' EXIT

# mpi-sys reads the headers of MPI with libclang.
if ! command -v mpirun >/dev/null || ! compgen -G '/usr/lib/llvm-*/lib/libclang*.so*' >/dev/null; then
    apt-get update -qq && apt-get install -y -qq libopenmpi-dev openmpi-bin libclang-dev iproute2
fi
if [ -z "${DLRM_BIN:-}" ]; then
    # With the features that tests were built with: only this program is built anew.
    cargo build --workspace --locked --features mpi
    cp target/debug/dlrm "$place/dlrm"
    DLRM_BIN="$place/dlrm"
fi
dlrm="$(realpath "$DLRM_BIN")"
cd "$place"
# Open MPI asks twice whether root means it; ranks share the cores of this machine.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none
export PATH="$(dirname "$dlrm"):$PATH"
"$dlrm" generate clicks --like demo --rows 4000 -q -o clicks >/dev/null
"$dlrm" prepare clicks/clicks.csv --schema clicks/schema.toml -q -o prepared >/dev/null

fail() {
    echo "mpi: $*" >&2
    exit 1
}

# What is trained with these arguments, by one process or so many ranks.
alone() { "$dlrm" train -q --threads 2 -o "$@" >/dev/null; }
ranks() { mpirun -n "$1" "$dlrm" train -q --threads 1 -o "${@:2}"; }
bytes() { (cd "$1/model" && sha256sum ./*); }
# Fails unless two runs saved the same bytes.
same() {
    local one other
    one="$(bytes "$1")" other="$(bytes "$2")"
    [ "$one" = "$other" ] || fail "$3: the model of $2 is not that of $1"
}

data="clicks/clicks.csv --schema clicks/schema.toml --no-baseline"
cases=(
    "$data --epochs 2"
    "$data --epochs 2 --batch-size 100 --model deepfm --set train.clip_norm=0.1"
    "$data --epochs 2 --model dcn_v2"
    "$data --epochs 3 --set model.norm=batch --set model.dropout=0.2 --set train.evaluate_every=7 --set train.patience=2"
    "$data --epochs 1 --set train.precision=bf16 --set train.table_precision=bf16"
    "$data --epochs 2 --stream"
    "$data --epochs 2 --preset paper"
    "$data --max-steps 11 --batch-size 513 --set train.lanes=6"
    "$data --epochs 1 --model xdeepfm"
    # Gradients that are computed once per batch, of all lanes or of a branch of their tree.
    "$data --epochs 1 --batch-size 512 --set model.top=[500,400]"
    # Parts of more than one message.
    "$data --max-steps 2 --batch-size 512 --set train.lanes=3 --set model.top=[3000,2000]"
    "clicks/clicks.csv --schema clicks/schema.toml"
    "prepared --epochs 2"
)
# How many ranks each case has.
sizes=(3 2 4 2 8 2 3 6 3 4 3 8 2)
number=0
for case in "${cases[@]}"; do
    size=${sizes[number]} number=$((number + 1))
    # shellcheck disable=SC2086
    alone "alone-$number" $case
    # shellcheck disable=SC2086
    said="$(ranks "$size" "shared-$number" $case)" || fail "$size ranks: $case"
    [ "$(grep -c '^next:' <<<"$said")" = 1 ] || fail "$size ranks: one report was expected, found: $said"
    same "alone-$number" "shared-$number" "$size ranks, $case"
    echo "mpi: $size ranks, $case: the bytes of one"
done

# A table that is larger than the memory of a rank lies with both, row by row.
sed '/name = "user_id"/,/min_count/{s/kind = "vocabulary"/kind = "hash"/;s/min_count = 1/buckets = 3000000/}' clicks/schema.toml >large.toml
large="clicks/clicks.csv --schema large.toml --no-baseline --set train.linear_start=model --max-steps 20"
limited() { prlimit --data=$((300 << 20)) "$dlrm" train -q --threads 1 "$@"; }
# shellcheck disable=SC2086
alone large-alone $large
# shellcheck disable=SC2086
if limited -o large-limited $large >/dev/null 2>&1; then fail "one process had room for a table of 400 MB in 300"; fi
# shellcheck disable=SC2086
mpirun -n 2 prlimit --data=$((300 << 20)) "$dlrm" train -q --threads 1 --memory-limit 300MB -o large-shared $large >/dev/null ||
    fail "two ranks had no room for a table of 400 MB in 300 each"
same large-alone large-shared "a table beyond the memory of a rank"
rm -rf large-*
echo "mpi: a table beyond the memory of a rank: the bytes of one"

# Machines of their own, with slow links between them: the same bytes by TCP.
if can_have_namespaces; then
    with_namespaces 2
    shape 2 200
    # shellcheck disable=SC2086
    among 2 "$dlrm" train -q --threads 1 -o far ${cases[0]} >/dev/null || fail "two ranks in network namespaces"
    without_namespaces
    same alone-1 far "ranks in network namespaces"
    echo "mpi: ranks in network namespaces with links of 200 Mbit/s: the bytes of one"
else
    echo "mpi: skipped: ranks in network namespaces, which are not permitted here or lack ip and tc (iproute2)"
fi

# One rank is killed: all end, and one process goes on from what was saved to the same bytes.
long="$data --epochs ${EPOCHS:-24} --batch-size 64 --set train.patience=0 --set train.checkpoint_every=20"
begun=$(date +%s%N)
# shellcheck disable=SC2086
alone whole $long
took=$((($(date +%s%N) - begun) / 1000000))
for turn in $(seq "${KILLS:-3}"); do
    # shellcheck disable=SC2086
    ranks 3 "killed-$turn" $long >/dev/null 2>"said-$turn" &
    job=$!
    until [ -n "$(ls "killed-$turn/checkpoints" 2>/dev/null | grep '^step')" ] || ! kill -0 $job 2>/dev/null; do sleep 0.05; done
    sleep "$(printf '0.%03d' $((RANDOM % (took * 7 / 10 < 1000 ? took * 7 / 10 : 1000))))"
    victims=($(pgrep -f "$dlrm train.*killed-$turn" | grep -vx "$job" || true))
    victims=($(for pid in "${victims[@]}"; do [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = dlrm ] && echo "$pid"; done || true))
    [ ${#victims[@]} -gt 0 ] || fail "no rank was left to be killed"
    kill -9 "${victims[RANDOM % ${#victims[@]}]}"
    begun=$SECONDS
    if wait $job; then fail "a job that lost a rank ended well"; fi
    [ $((SECONDS - begun)) -le 10 ] || fail "a job that lost a rank took $((SECONDS - begun)) s to end"
    # On another number of ranks.
    case $((turn % 3)) in
    0) "$dlrm" train -q --resume auto -o "killed-$turn" >/dev/null ;;
    *) mpirun -n $((1 + turn % 3)) "$dlrm" train -q --resume auto -o "killed-$turn" >/dev/null ;;
    esac
    same whole "killed-$turn" "a rank was killed"
done
echo "mpi: ${KILLS:-3} jobs lost a rank, and one to three others went on to the same bytes"

# One command line for every start, on as many ranks as there are; only the first one reads the run directory.
# shellcheck disable=SC2086
ranks 3 again $long --resume auto >/dev/null 2>said &
job=$!
until [ -n "$(ls again/checkpoints 2>/dev/null | grep '^step')" ] || ! kill -0 $job 2>/dev/null; do sleep 0.05; done
victims=($(for pid in $(pgrep -f "$dlrm train.*again"); do [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = dlrm ] && echo "$pid"; done || true))
[ ${#victims[@]} -gt 0 ] || fail "no rank was left to be killed"
kill -9 "${victims[0]}"
if wait $job; then fail "a job that lost a rank ended well"; fi
code=0
# shellcheck disable=SC2086
ranks 2 again $long --resume auto --seed 7 >/dev/null 2>said || code=$?
[ $code = 2 ] && [ "$(grep -c "seed: expected 0, with which the run in again was started, found 7" said)" = 1 ] ||
    fail "another seed: code $code, $(cat said)"
# shellcheck disable=SC2086
ranks 2 again $long --resume auto >/dev/null || fail "--resume auto: $(cat said)"
same whole again "--resume auto on two ranks after three"
said="$(ranks 3 again --resume auto)" || fail "a finished run: $said"
[ "$(grep -c "is finished" <<<"$said")" = 1 ] || fail "a finished run was not called that once: $said"
echo "mpi: a job was killed, and the same command went on with it on fewer ranks, to the same bytes"

# A rank that is late is named, and once it comes nothing has changed.
# shellcheck disable=SC2086
mpirun -n 3 "$dlrm" train --threads 1 --stall-after 1 -o stalled $long >/dev/null 2>said &
job=$!
until [ -n "$(ls stalled/checkpoints 2>/dev/null | grep '^step')" ] || ! kill -0 $job 2>/dev/null; do sleep 0.05; done
late=""
for pid in $(pgrep -f "$dlrm train.*stalled"); do
    [ "$(tr '\0' '\n' <"/proc/$pid/environ" 2>/dev/null | grep -c '^OMPI_COMM_WORLD_RANK=2$')" = 1 ] && late="$pid"
done
[ -n "$late" ] || fail "rank 2 was not found"
kill -STOP "$late"
for _ in $(seq 100); do grep -q "warning: rank 0 has waited" said && break; sleep 0.1; done
kill -CONT "$late"
wait $job || fail "a job that stood still for a while: $(cat said)"
grep -q "warning: rank 0 has waited .* for rank 2: look" said || fail "rank 2 was late, and what was said is: $(cat said)"
same whole stalled "a rank was late"
echo "mpi: a rank that was late was named"

# A wish to stop is heard by the first rank, which saves.
# shellcheck disable=SC2086
ranks 2 stopped $long >/dev/null 2>said &
job=$!
until [ -d stopped/checkpoints ] || ! kill -0 $job 2>/dev/null; do sleep 0.05; done
sleep 0.1
kill -TERM "$(pgrep -f "mpirun.*-o stopped" | head -n 1)"
if wait $job; then fail "a job that was to stop ended well"; fi
"$dlrm" train -q --resume -o stopped >/dev/null
same whole stopped "a job was stopped"
echo "mpi: a job was stopped, and one process went on to the same bytes"

# The page of the book.
dlrm generate clicks --like demo --rows 20000 -q -o page/clicks >/dev/null
cd page
dlrm prepare clicks/clicks.csv --schema clicks/schema.toml -q -o prepared >/dev/null
mpirun -n 2 dlrm train prepared --set train.lanes=32 -o runs/shared >/dev/null 2>&1
dlrm train -q prepared --set train.lanes=32 -o runs/alone >/dev/null
same runs/alone runs/shared "docs/cluster.md"
mpirun -n 2 dlrm train prepared --set train.lanes=32 --resume auto -o runs/queued >/dev/null 2>&1
same runs/alone runs/queued "docs/cluster.md"
cd ..

# What several ranks do not do is refused once, and a rank that fails is named.
code=0
ranks 2 refused clicks/clicks.csv --folds 3 2>said || code=$?
[ $code = 2 ] && grep -q "expected one process, found several ranks" said || fail "--folds: code $code, $(cat said)"
[ ! -e refused ] || fail "what was refused left something"
