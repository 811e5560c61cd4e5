# Every target sets up what it needs, once. `make` lists them.
PYTHON ?= python3.11
BIN := .venv/bin
READY := .venv/.ready

# What the example and the UI work on; each can be set from outside.
export DAGSTER_HOME ?= $(CURDIR)/.dagster
export LUME_HOME ?= $(CURDIR)/.lume

.DEFAULT_GOAL := help
.PHONY: help setup demo dev test soak lint format lock browser postgres clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/make \1|\2/' | column -t -s '|'

setup: $(READY) ## make the environment in .venv, from locked versions

$(READY): requirements.lock pyproject.toml
	@echo "Setting up .venv, once ..."
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

$(DAGSTER_HOME)/dagster.yaml: dagster.yaml
	@mkdir -p $(@D)
	@cp $< $@.$$$$ && mv $@.$$$$ $@

demo: $(READY) $(DAGSTER_HOME)/dagster.yaml ## two weeks of real batches the whole way, through real Dagster runs
	@$(BIN)/python -m examples.demo

dev: $(READY) $(DAGSTER_HOME)/dagster.yaml ## the Dagster UI on the example pipeline, at http://localhost:3000
	@$(BIN)/python -m examples.flights --damage 2013-01-09
	@$(BIN)/dagster dev

test: $(READY) browser postgres ## all tests, those in a real browser included
	@$(BIN)/python -m pytest

soak: $(READY) ## 1,000 batches under random faults, and what both stores hold in the end
	@LUME_TESTS_SOAK=$${LUME_TESTS_SOAK:-1000} $(BIN)/python -m pytest -s tests/soak

lint: $(READY) ## style and types
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy

format: $(READY) ## put the code into the project's style
	@$(BIN)/ruff check --fix --quiet
	@$(BIN)/ruff format --quiet

lock: $(READY) ## resolve the dependencies anew into requirements.lock
	@$(BIN)/python -m pip install --quiet uv
	@$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.10 --generate-hashes --no-header \
		--no-emit-index-url --no-annotate --all-extras --group dev pyproject.toml -o requirements.lock

# The browser tests drive Debian's chromium; where it cannot be installed, they are skipped and say so.
browser:
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
		&& apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; } || true

# The tests of databases start a PostgreSQL server of their own; where it cannot be installed, they are skipped and say so.
postgres:
	@command -v pg_ctl >/dev/null || ls /usr/lib/postgresql/*/bin/pg_ctl >/dev/null 2>&1 \
		|| { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
		&& apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq postgresql >/dev/null; } || true

clean: ## remove the environment and all that running leaves behind
	rm -rf .venv .lume .dagster data screenshots .mypy_cache .pytest_cache .ruff_cache .hypothesis
