# `make run` does the main job, `make test` passes the tests, `make check` is what CI runs.
# Each sets up what it needs in .venv first; nothing is installed outside this folder.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: help setup run test check lint types contracts format bench soak lock clean

help:  ## Say what each target does
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

setup: $(READY)  ## Make .venv; .venv/bin/modelkeep is then the program

$(READY): requirements.lock pyproject.toml hatch_build.py daemon/modelkeep/pipeline/sha256_streams.c daemon/modelkeep/disk/folder_listing.c
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "modelkeep needs Python 3.11 or newer: make setup PYTHON=/path/to/python3.11"; exit 1; }
	@echo "Setting up .venv (once; a minute or so) ..."
	@$(PYTHON) -m venv .venv || { echo "This Python has no venv module (Debian, Ubuntu: apt install python3-venv)."; exit 1; }
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@test -e daemon/modelkeep/pipeline/_sha256_streams.so || echo "Without a C compiler (or on no x86-64) files are hashed by Python's hashlib; that is slower."
	@touch $@

run: $(READY)  ## Run the daemon; ROOT=/path/to/models LEGACY=/path/to/hikaze_mm.sqlite3 for your own library
	@ROOT="$(ROOT)" LEGACY="$(LEGACY)" IMAGES="$(IMAGES)" MAP="$(MAP)" DATA_DIR="$(DATA_DIR)" \
		exec $(BIN)/modelkeep dev tour

test: $(READY)  ## Run the tests
	@$(BIN)/pytest -q -n 6 --dist loadscope

check: lint types contracts test  ## Everything that CI runs

lint: $(READY)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .

types: $(READY)
	@$(BIN)/mypy

contracts: $(READY)
	@$(BIN)/lint-imports

format: $(READY)  ## Format the code and mend what the linter can
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

soak: $(READY)  ## The long crash tests; ROUNDS=1000
	@$(BIN)/python tests/crash/soak.py --rounds $(or $(ROUNDS),100)

bench: $(READY)  ## Measure, side by side with other tools; ROW=S3 SCALE=1 ROUNDS=3 GROW=10 JSON=bench.json
	@PYTHONPATH=daemon $(BIN)/python -m tests.bench.main $(addprefix --row ,$(ROW)) $(if $(SCALE),--scale $(SCALE)) \
		$(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(GROW),--grow $(GROW)) $(if $(JSON),--json $(JSON))

lock:  ## Renew requirements.lock (needs uv)
	uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --extra dev \
		--no-header --no-emit-index-url --no-emit-find-links pyproject.toml -o requirements.lock

clean:  ## Remove .venv and caches; data/ stays
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
