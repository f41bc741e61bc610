#!/usr/bin/env bash
# Makes .venv with the locked packages; a second call does nothing. Run by every make target.
#   PYTHON=python3.12 scripts/setup.sh     chooses the interpreter (3.11 to 3.13)
set -euo pipefail
cd "$(dirname "$0")/.."
torch_version=2.13.0
stamp=.venv/.locked
wanted=$(cat requirements.lock pyproject.toml scripts/setup.sh | sha256sum | cut -d' ' -f1)
[ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && exit 0

say() { printf '%s\n' "$*" >&2; }

supported() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; }
python=${PYTHON:-}
if [ -z "$python" ]; then
    for candidate in python3 python3.11 python3.12 python3.13; do
        if supported "$candidate"; then python=$candidate; break; fi
    done
fi
if [ -z "$python" ] || ! supported "$python"; then
    say "setup: no Python 3.11, 3.12 or 3.13 found; install one, or name it: make setup PYTHON=/path/to/python3.12"
    exit 2
fi

if [ ! -x .venv/bin/python ] || ! .venv/bin/python -c 'import pip' 2>/dev/null; then
    say "setup: a virtual environment in .venv ($("$python" --version))"
    if ! "$python" -m venv --clear .venv 2>/dev/null; then
        # Debian keeps venv in a package of its own.
        package=$("$python" -c 'import sys; print(f"python3.{sys.version_info[1]}-venv")')
        if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
            say "setup: installing Debian's $package"
            apt-get update -qq && apt-get install -y -qq "$package" >/dev/null
            "$python" -m venv --clear .venv
        else
            say "setup: this Python cannot make virtual environments; run: sudo apt-get install $package"
            exit 2
        fi
    fi
fi

say "setup: locked packages"
pip=(.venv/bin/python -m pip --disable-pip-version-check -q)
"${pip[@]}" install "$(grep '^uv==' requirements.lock)"
# uv does not read pip's configuration: hand over the folders of local wheels, where a machine has them.
links=$("${pip[@]}" config list 2>/dev/null | sed -n "s/.*find-links='\(.*\)'/\1/p" | head -n 1)
[ -z "$links" ] || export UV_FIND_LINKS=${UV_FIND_LINKS:-$links}
# The lock is a whole set: nothing is left to resolve, so nothing can draw in another torch.
.venv/bin/uv pip install -q --python .venv/bin/python --no-deps -r requirements.lock

installed=$(.venv/bin/python -c 'from importlib.metadata import version; print(version("torch").split("+")[0])' 2>/dev/null || true)
if [ "$installed" != "$torch_version" ]; then
    say "setup: torch $torch_version"
    # A wheel on this machine first; then the CUDA build only where there is a GPU.
    if ! "${pip[@]}" install --no-index --no-deps "torch==$torch_version" 2>/dev/null; then
        if command -v nvidia-smi >/dev/null || [ "$(uname -s)" = Darwin ]; then
            .venv/bin/uv pip install -q --python .venv/bin/python "torch==$torch_version"
        else
            UV_TORCH_BACKEND=cpu .venv/bin/uv pip install -q --python .venv/bin/python "torch==$torch_version"
        fi
    fi
fi
.venv/bin/uv pip install -q --python .venv/bin/python --no-deps -e .
printf '%s' "$wanted" > "$stamp"
