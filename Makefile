# Every target starts from nothing: a fresh clone on a Debian machine with Python 3.11 or later.
VENV := .venv
PYTHON := $(VENV)/bin/python
READY := $(VENV)/.ready
HOST ?= 127.0.0.1
PORT ?= 8888

.PHONY: serve test test-all bench faults format lint types docs clean help

help:            ## what there is
	@grep -E '^[a-z-]+: .*##' Makefile | sed -E 's/^([a-z-]+):[^#]*##/  make \1 /'

$(READY): pyproject.toml .ci/packages
	sh .ci/packages base
	test -x $(PYTHON) || python3 -m venv $(VENV)
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

serve: $(READY)  ## the engine, REST and the sample workers on http://127.0.0.1:8888
	$(VENV)/bin/tasky serve --host $(HOST) --port $(PORT)

test: $(READY)   ## everything but the slow tests, with linters and types
	sh .ci/packages test
	$(MAKE) --no-print-directory lint types
	$(PYTHON) -m pytest -m 'not slow and not bench'

test-all: $(READY) ## all tests, the slow ones too
	sh .ci/packages test
	$(MAKE) --no-print-directory lint types
	$(PYTHON) -m pytest -m 'not bench'

faults: $(READY) ## only the tests that kill real processes
	$(PYTHON) -m pytest tests/faults

bench: $(READY)  ## one JSON row per figure; wants a machine with nothing else to do
	$(PYTHON) -m tests.bench

format: $(READY) ## as ruff wants it
	$(PYTHON) -m ruff format .
	$(PYTHON) -m ruff check --fix .

lint: $(READY)   ## style, layers
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .
	$(VENV)/bin/lint-imports

types: $(READY)  ## mypy, strict
	$(PYTHON) -m mypy

docs: $(READY)   ## the pages that are made from the program
	$(PYTHON) docs/generate.py

clean:           ## as after a clone
	rm -rf $(VENV) dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
