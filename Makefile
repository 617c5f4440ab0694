# make demo    set up, run the scenarios, say where the report is
# make test    set up, provision a real Asterisk, run all checks and tests

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/pytest-ari-sla
ROUNDS ?= 20
# What these parts leave out; `make soak` leaves out less.
GATE ?= -m 'not matrix and not soak'
ASTERISK_22 := $(CACHE)/asterisk-22
ASTERISK_16 := $(CACHE)/asterisk-16

# Many Pythons are started here: each would compile everything anew.
unexport PYTHONDONTWRITEBYTECODE
# Scripts in tests/ take their programs from there.
export VENV

.DEFAULT_GOAL := help
.PHONY: help demo test checks lint types layers docs package unit sessions contract asterisk-tests asterisk asterisk-22 asterisk-16 matrix soak bench sample clean

help: ## show this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(VENV)/.ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/pip install --quiet --editable . --group dev
	@touch $@

demo: $(VENV)/.ready ## run the smoke scenarios on the embedded simulator, and say where the report is
	$(BIN)/pytest scenarios/test_smoke.py
	@echo "The report is $$(readlink -f reports/latest)/report.html"

test: $(VENV)/.ready asterisk ## all checks and all tests, on a real Asterisk; tells what each part took
	@tests/parts checks unit sessions contract asterisk-tests

checks: lint types layers docs package ## ruff, mypy, import-linter, the docs and the packages

lint: $(VENV)/.ready ## ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.ready ## mypy, strict
	$(BIN)/mypy pytest_ari_sla tests

layers: $(VENV)/.ready ## import-linter
	$(BIN)/lint-imports

docs: $(VENV)/.ready ## the site, in build/site; a broken link or page is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

package: $(VENV)/.ready ## wheel and sdist, in build/dist, held to what PyPI and pip expect
	rm -rf build/dist
	$(BIN)/python -m build --quiet --outdir build/dist
	$(BIN)/twine check --strict build/dist/*
	$(BIN)/check-wheel-contents build/dist/*.whl

unit: $(VENV)/.ready ## tests without Asterisk
	tests/look_again -n 2 --dist worksteal $(GATE) --ignore tests/unit/media tests/unit
	tests/look_again $(GATE) tests/unit/media

sessions: $(VENV)/.ready asterisk-22 ## whole pytest sessions
	tests/look_again -n 3 --dist worksteal $(GATE) tests/sessions

contract: $(VENV)/.ready asterisk ## the simulator held to Asterisk
	tests/look_again -n 5 --dist worksteal $(GATE) tests/contract

asterisk-tests: $(VENV)/.ready asterisk ## tests on real Asterisks
	tests/look_again -n 2 --dist loadfile $(GATE) tests/asterisk
	tests/look_again $(GATE) tests/oracles

asterisk: asterisk-22 asterisk-16 ## provision the Asterisks that tests run on

asterisk-22 asterisk-16: asterisk-%:
	tests/asterisk/provision $*

matrix: $(VENV)/.ready asterisk-22 ## other plug-ins, versions and Pythons, each in an environment of its own
	$(BIN)/pytest -m matrix tests/sessions tests/matrix

soak: $(VENV)/.ready asterisk ## what must hold many times: new examples for properties, then ROUNDS (20) of all but unit
	$(BIN)/python -m tests.ends_table $(ASTERISK_22) --runs 10
	$(BIN)/python -m tests.baseline_pairs $(ASTERISK_22)
	@ONCE=1 GATE="-m 'not matrix'" tests/soak $(ROUNDS)

bench: $(VENV)/.ready ## benchmarks; see README
	$(BIN)/python -m tests.benchmarks --rounds 5
	$(BIN)/python -m tests.fleet_at_size

sample: $(VENV)/.ready asterisk-22 ## make the reports and recordings in reports/sample from real runs
	$(BIN)/python -m tests.make_sample $(ASTERISK_22)
	$(BIN)/python -m tests.record_console $(ASTERISK_22)

clean: ## remove what make made here
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .coverage*
