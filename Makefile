# make demo   audits the demo's two language models and opens nothing: the report's path is the last line
# make test   the tests            make check  formatting, lint, types, import rules
# make site   the documentation as a site, dist/site/index.html
# make setup  the environment only make lock   resolves the locked versions anew
# Every target makes what it needs first; PYTHON=python3.12 chooses the interpreter.

.DEFAULT_GOAL := help
bin := .venv/bin
export DO_NOT_TRACK := 1

.PHONY: help setup demo test check format lock docs site plant benchmarks
help:
	@grep '^# ' Makefile | cut -c3-

setup:
	@scripts/setup.sh

demo: setup
	@$(bin)/auto-interventions audit demo/audit.yaml --out runs/demo
	@$(bin)/auto-interventions score runs/demo demo/truth.yaml
	@$(bin)/auto-interventions audit demo/null.yaml --out runs/demo-null
	@printf '\nRead it:  %s\n' "$(CURDIR)/runs/demo/report.html"

test: setup
	@$(bin)/python -m pytest

check: setup
	@$(bin)/ruff format --check .
	@$(bin)/ruff check .
	@$(bin)/basedpyright
	@$(bin)/lint-imports
	@$(bin)/python scripts/document_config.py --check

format: setup
	@$(bin)/ruff format .
	@$(bin)/ruff check --fix .

docs: setup
	@$(bin)/python scripts/document_config.py

site: setup
	@$(bin)/python -m sphinx --fail-on-warning --keep-going --quiet docs dist/site
	@printf 'Read it:  %s\n' "$(CURDIR)/dist/site/index.html"

plant: setup
	@$(bin)/auto-interventions plant demo/plant.yaml --again

lock: setup
	@scripts/lock.sh
