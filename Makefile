# Everything runs from a virtual environment of its own. `make demo` and `make test` are all that a newcomer needs.
SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# The versions that are tested together. Users of the package get the ranges of pyproject.toml instead.
CONSTRAINTS := constraints.txt
ARGS ?=
# The templates demo is there for a first look: it must not wait for torch, which is some gigabytes.
DEMO_NEEDS := $(if $(findstring templates,$(ARGS)),.installed-small,.installed)

.PHONY: help demo test search check bench gpu-check docs screens clean

help:
	@echo "make demo                     install into $(VENV) and run the demo in the terminal app"
	@echo 'make demo ARGS="--headless"   the same, one line per event'
	@echo "make test                     all tests"
	@echo "make search                   the property tests on examples that nobody has tried"
	@echo "make check                    formatting, lint, types, import directions"
	@echo "make gpu-check                what needs a real accelerator, line by line, in at most six minutes"
	@echo "make bench                    every figure of docs/benchmarks.md, beside its floor"
	@echo "make docs                     the tables of docs/ that come from the code"
	@echo "make screens                  the pictures of docs/tour.md, from the running app"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "autoresearch needs Python 3.11 or newer; say PYTHON=/path/to/python3.11" >&2; exit 2; }
	@$(PYTHON) -m venv "$(VENV)" || { echo "python3-venv is missing; install it (apt-get install python3-venv)" >&2; exit 2; }

$(VENV)/.installed: $(BIN)/python pyproject.toml $(CONSTRAINTS)
	"$(BIN)/python" -m pip install --quiet --disable-pip-version-check -c $(CONSTRAINTS) -e ".[train,dev]"
	@touch "$@" "$(VENV)/.installed-small"

$(VENV)/.installed-small: $(BIN)/python pyproject.toml $(CONSTRAINTS)
	"$(BIN)/python" -m pip install --quiet --disable-pip-version-check -c $(CONSTRAINTS) -e .
	@touch "$@"

demo: $(VENV)/$(DEMO_NEEDS)
	@"$(BIN)/autoresearch" demo $(ARGS)

test: $(VENV)/.installed
	"$(BIN)/python" -m pytest -n 2 --dist worksteal $(ARGS)

search: $(VENV)/.installed
	"$(BIN)/python" -m pytest -n 2 --dist worksteal -m hypothesis --hypothesis-profile=search $(ARGS)

check: $(VENV)/.installed
	"$(BIN)/ruff" format --check state engine tui targets tests docs
	"$(BIN)/ruff" check state engine tui targets tests docs
	"$(BIN)/mypy"
	"$(BIN)/lint-imports"

bench: $(VENV)/.installed
	"$(BIN)/python" tests/bench/run.py $(ARGS)
	"$(BIN)/python" tests/bench/nights.py

docs: $(VENV)/.installed
	"$(BIN)/python" docs/tools/make_keys.py
	"$(BIN)/python" tests/support/nights.py

gpu-check: $(VENV)/.installed
	"$(BIN)/python" tests/gpu/check.py $(ARGS)

screens: $(VENV)/.installed
	"$(BIN)/python" docs/tools/make_screens.py $(ARGS)

clean:
	rm -rf "$(VENV)" build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
