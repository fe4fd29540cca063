# Two commands are all a newcomer needs: `make demo` and `make test`. Both set up what is missing first.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Knobs of a command: make demo ARGS="--leads 20 --seed 7"
ARGS ?=

.PHONY: help setup demo serve bench-faults bench-load bench-pop bench-import bench-pacing bench-pacing-live screenshots test test-pg15 lint format lock clean

help:  ## What can be made
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 19

setup: $(VENV)/.ready  ## The virtual environment with all locked dependencies, and the pages' front-end packages

$(VENV)/.ready: requirements.lock pyproject.toml dialer/web/package-lock.json
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Dozvon needs Python 3.11 or later: install it, then make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "Python's venv is missing: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	$(BIN)/python -m dialer.web.frontend
	@touch $@

demo: setup  ## A whole campaign on this machine: carrier, people, agents, pages
	$(BIN)/dozvon demo $(ARGS)

serve: setup  ## The server, with its own PostgreSQL and Asterisk
	$(BIN)/dozvon serve $(ARGS)

bench-faults: setup  ## Break every part of a living centre, count what is lost: ARGS="--only kill --resume"
	$(BIN)/dozvon bench faults $(ARGS)

bench-load: setup  ## How much it carries, and what a call costs: ARGS="--short"
	$(BIN)/dozvon bench load $(ARGS)

bench-pop: setup  ## From the answer to the painted card, of fifty real calls in a browser
	$(BIN)/python -m pytest -q -s tests/bench/bench_pop.py

bench-import: setup  ## A million invented people from CSV, XLSX and ODS, beside plain COPY: ARGS="--short"
	$(BIN)/dozvon bench import $(ARGS)

bench-pacing: setup  ## Every rule of pacing in the simulator, and the page about it: ARGS="--resume"
	$(BIN)/dozvon bench pacing $(ARGS)

bench-pacing-live: setup  ## Predictive pacing on a real Asterisk beside the simulator: half an hour on two free cores
	$(BIN)/dozvon bench pacing-live $(ARGS)

screenshots: setup  ## A picture of every page for docs/pages.md: ARGS="--only desk"
	PYTHONPATH=tests $(BIN)/python -m support.screenshots $(ARGS)

test: setup  ## All tests
	$(BIN)/python -m dialer.web.frontend --tests
	$(BIN)/pytest -n 3 --dist loadfile $(ARGS)

test-pg15: setup  ## The tests of the database on PostgreSQL 15, the oldest that will do; ARGS names some of them
	TEST_POSTGRES=15 $(BIN)/pytest -n 3 --dist loadfile $(or $(ARGS),tests/db)

lint: setup  ## Style, types, direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock:  ## Lock the newest versions that pyproject.toml allows
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-emit-find-links --all-extras --group dev \
		--custom-compile-command "make lock" pyproject.toml -o requirements.lock

clean:
	rm -rf $(VENV) build *.egg-info dialer/web/node_modules
