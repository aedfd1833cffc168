# Every command a contributor needs. `make help` lists them; README.md explains the first two.

PYTHON ?= python3
EVENTS ?= 100000
PYTEST_ARGS ?=

VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed
TESTS := tests/unit tests/lua tests/integration tests/browser tests/chaos tests/compat

.DEFAULT_GOAL := help
.PHONY: help setup run demo test bench chaos compat fuzz lint requirements clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1|\2/p' Makefile | awk -F'|' '{printf "  make %-14s %s\n", $$1, $$2}'

setup: $(STAMP) ## make .venv, install the package, make sure Redis and MariaDB are installed
	@$(PY) -m pepi_stream.local setup

run: setup ## private servers, a worker and a simulated stream, until Ctrl-C
	@$(PY) -m pepi_stream.local run

demo: setup ## push EVENTS=n events, drain them, check that every one is accounted for
	@$(PY) -m pepi_stream.local demo --events $(EVENTS)

test: setup lint ## lint, then all tests, on real servers and a real browser (PYTEST_ARGS=... to narrow; -n0: one by one)
	@$(PY) -m pepi_stream.local setup --browser
	@# Else every process of the tests compiles the package anew, where PYTHONDONTWRITEBYTECODE is set.
	@$(PY) -m compileall -q pepi_stream
	@# Most tests wait for servers that they have started; a file's tests stay together.
	$(PY) -m pytest $(TESTS) --numprocesses=4 --dist=loadfile $(PYTEST_ARGS)

bench: setup ## race the article's Perl and Go on the same events (QUICK=1 for a first look)
	@env QUICK='$(QUICK)' EVENTS='$(if $(filter command line,$(origin EVENTS)),$(EVENTS))' \
	  ROUNDS='$(ROUNDS)' $(PY) -m bench

chaos: setup ## break everything at random for SECONDS=n (60), then account for every event
	@env SECONDS='$(SECONDS)' SEED='$(SEED)' WORKERS='$(WORKERS)' FAULTS='$(FAULTS)' \
	  EVERY='$(EVERY)' RATE='$(RATE)' DEDUPE='$(DEDUPE)' $(PY) -m tests.chaos

compat: setup ## drain under faults on each server that packages have (ONLY=mysql,valkey-9 for some)
	@env ONLY='$(ONLY)' SEED='$(SEED)' $(PY) -m tests.compat

fuzz: $(STAMP) ## hostile claims for every format, for SECONDS=n (600), from SEED=n (printed)
	$(PY) -m tests.fuzzing $(or $(SECONDS),600) $(SEED)

lint: $(STAMP) ## ruff, mypy and the import layers
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

# The stamp is written last, so an interrupted installation is done again.
$(STAMP): pyproject.toml requirements.txt requirements-dev.txt
	@$(PYTHON) -c 'import sys' 2>/dev/null || { \
	  echo "setup: cannot run '$(PYTHON)'. Install Python 3.11 or later" \
	       "(Debian, Ubuntu: apt-get install python3 python3-venv)" \
	       "or name one: make setup PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "setup: '$(PYTHON)' is `$(PYTHON) -c 'import platform; print(platform.python_version())'`," \
	       "and pepi_stream needs 3.11 or later." \
	       "Name a newer one, for example: make setup PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "setup: '$(PYTHON)' cannot make virtual environments (venv or ensurepip is missing)." \
	       "Debian, Ubuntu: apt-get install" \
	       "`$(PYTHON) -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])'`" >&2; exit 1; }
	@$(PY) -m pip --version >/dev/null 2>&1 || { \
	  echo "setup: making $(VENV) with `$(PYTHON) --version`"; $(PYTHON) -m venv --clear $(VENV); }
	@$(PY) -m pepi_stream.local packages
	@touch $@

requirements: ## write requirements*.txt anew, with the newest versions pyproject.toml allows
	@set -e; scratch=`mktemp -d`; trap 'rm -rf "$$scratch"' EXIT; \
	pip="$$scratch/venv/bin/python -m pip --disable-pip-version-check"; \
	$(PYTHON) -m venv "$$scratch/venv"; \
	$$pip install -q .; \
	$$pip freeze --exclude pepi-stream >"$$scratch/runtime"; \
	$$pip install -q -c "$$scratch/runtime" '.[dev]'; \
	$$pip freeze --exclude pepi-stream >"$$scratch/all"; \
	{ echo "# What pepi_stream needs to run, pinned. Written by \`make requirements\`; do not edit."; \
	  cat "$$scratch/runtime"; } >requirements.txt; \
	{ echo "# What developing it needs besides. Written by \`make requirements\`; do not edit."; \
	  echo "-r requirements.txt"; \
	  grep -vxF -f "$$scratch/runtime" "$$scratch/all"; } >requirements-dev.txt

clean: ## stop the private servers; remove .venv, .local and every cache
	@if [ -d .local ]; then \
	  if [ -x $(PY) ]; then $(PY) -m pepi_stream.local stop; \
	  else $(PYTHON) -m pepi_stream.local stop; fi; fi
	rm -rf .venv .local build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
