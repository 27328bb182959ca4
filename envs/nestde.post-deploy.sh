#!/usr/bin/env bash
# After the conda environment is made (snakemake --sdm conda): nestde itself, from its wheel in the study's envs/.
set -euo pipefail
version=0.2.0
wheel=envs/nestde-$version-py3-none-any.whl
if [ ! -f "$wheel" ]; then
    echo "nestde: $wheel is not in $PWD. The conda environment of the jobs takes nestde $version from there: put the" \
        "wheel of this release into the study's envs/, or make it from a checkout: pip wheel --no-deps -w envs CHECKOUT" >&2
    exit 1
fi
python -m pip install --quiet --no-deps --no-index "$wheel"
