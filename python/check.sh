#!/usr/bin/env bash
# Builds the package in a virtual environment, tests it with its documentation and its types, and runs the
# estimators through the checks of two versions of scikit-learn. With the argument `torch` it tests what needs
# PyTorch instead: by hand, for its wheel takes some GB. Environments are kept in target/ while what they hold is
# unchanged. DLRM_BIN names a dlrm command to compare with, DLRM_DATA a directory of public data sets.
set -euo pipefail
cd "$(dirname "$0")"
python="${PYTHON:-python3}"

if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
    apt-get update -qq && apt-get install -y -qq python3 python3-venv
fi

# environment NAME REQUIREMENTS: makes target/NAME, unless it was made of the same requirements.
environment() {
    local place="target/$1" requirements="$2"
    if ! cmp -s "$requirements" "$place/made-of.txt"; then
        rm -rf "$place"
        "$python" -m venv "$place"
        "$place/bin/pip" install --quiet --disable-pip-version-check -r "$requirements"
        cp "$requirements" "$place/made-of.txt"
    fi
}

# installed NAME WHEEL: puts the package into target/NAME.
installed() {
    "target/$1/bin/pip" install --quiet --disable-pip-version-check --no-deps --force-reinstall "$2"
}

main=venv requirements=tests/requirements.txt
if [ "${1:-}" = torch ]; then
    main=venv-torch requirements=tests/requirements-torch.txt
fi
mkdir -p target
environment "$main" "$requirements"
rm -rf target/wheels
"target/$main/bin/pip" wheel --quiet --disable-pip-version-check --no-deps --wheel-dir target/wheels \
    --config-settings=build-args='--profile quick' .
wheel="$(echo target/wheels/dlrm-*.whl)"
installed "$main" "$wheel"
# Not from here, where `import dlrm` would find the source without its native half.
tests() (
    cd tests && "../target/$1/bin/pytest" --quiet "${@:2}"
)
if [ "$main" = venv-torch ]; then
    tests venv-torch test_torch.py test_torch_prepared.py test_from_torch.py test_docs.py -k "torch"
    tests venv-torch --doctest-modules --pyargs dlrm.torch
    exit
fi
export DLRM_WHEEL="$PWD/$wheel"
tests venv
tests venv --doctest-modules --pyargs dlrm --ignore-glob="/*/dlrm/torch*"
target/venv/bin/python -m mypy dlrm

environment venv-sklearn-1.6 tests/requirements-sklearn-1.6.txt
installed venv-sklearn-1.6 "$wheel"
tests venv-sklearn-1.6 test_estimators.py
