PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
REQUIREMENTS := requirements.txt requirements-eval.txt requirements-dev.txt
# Written last, so an interrupted installation is begun anew.
INSTALLED := $(VENV)/.installed
INSTALLED_AWQ := $(VENV)/.installed-awq

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup test evaluate format clean

help: ## list the targets
	@grep -E '^[a-z]+:.*## ' Makefile | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 18
	@echo "  PYTHON=python3.12 make setup chooses the interpreter (now: $(PYTHON); 3.11 to 3.13)"

setup: $(INSTALLED) ## make .venv with everything that the other targets need

test: $(INSTALLED_AWQ) ## lint, format check, types, tests; needs no weights
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest

evaluate: $(INSTALLED) ## fetch the default model's weights once, then score data/development.json
	$(BIN)/python -m utilities.weights fetch
	$(BIN)/python local_evaluation.py

format: $(INSTALLED) ## rewrite the code in the project's format
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

clean: ## remove .venv, caches and outputs; weights stay
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis outputs
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(INSTALLED): $(REQUIREMENTS)
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { \
	  echo "PYTHON=$(PYTHON) does not run, or is not 3.11 to 3.13 (numpy 2.2.6 has no build for others):" \
	    "name one that is, as in: make setup PYTHON=python3.12" >&2; exit 2; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(REQUIREMENTS:%=-r %)
	$(BIN)/python -m pip check
	@touch $@

# gptqmodel comes as source and builds beside the torch that is already there; it needs gcc.
$(INSTALLED_AWQ): $(INSTALLED) requirements-gpu.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation \
	  --constraint requirements.txt "$$(grep '^gptqmodel==' requirements-gpu.txt)"
	$(BIN)/python -m pip check
	@touch $@
