#!/usr/bin/env bash
# Writes requirements.lock anew: every package but torch, whose build depends on the machine (scripts/setup.sh).
# And docker/requirements.lock: the same versions of what the images hold, which is less (no tests, no linters); and docker/gpu.lock, for the
# image with CUDA: the same but for pandas, which cuML holds back, with torch and all that comes with it.
# The override takes torch out of the resolution, so that no CUDA package is drawn in; its own pure-Python needs are named.
set -euo pipefail
cd "$(dirname "$0")/.."
override=$(mktemp) && needs=$(mktemp --suffix=.in)
trap 'rm -f "$override" "$needs"' EXIT
echo "torch ; sys_platform == 'never'" > "$override"
printf '%s\n' filelock typing-extensions sympy networkx jinja2 fsspec setuptools > "$needs"
.venv/bin/uv pip compile pyproject.toml "$needs" --extra dev --universal --python-version 3.11 \
    --override "$override" --no-annotate --no-header "$@" -o requirements.lock
.venv/bin/uv pip compile pyproject.toml "$needs" --extra team --extra gemini --extra openai --extra anthropic --universal \
    --python-version 3.11 --constraint requirements.lock --override "$override" --no-annotate --no-header -o docker/requirements.lock
# torch is not to be installed from here: the line that keeps it out of the resolution goes.
sed -i '/^torch==/d' requirements.lock docker/requirements.lock
torch=$(sed -n 's/^torch_version=//p' scripts/setup.sh)
echo "torch==$torch" > "$needs"
{ grep -v '^pandas==' docker/requirements.lock; grep '^bitsandbytes==' requirements.lock; } > "$override"
.venv/bin/uv pip compile pyproject.toml "$needs" --extra gpu --extra quantized --extra team --extra gemini --extra openai --extra anthropic \
    --python-version 3.11 --python-platform x86_64-manylinux_2_28 --default-index https://pypi.org/simple --no-config \
    --constraint "$override" --no-annotate --no-header -o docker/gpu.lock
