# Two commands for a fresh machine with Python 3.11 or newer: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help demo test fast deep installed lint clean

help:
	@echo "make demo   install into $(VENV), then fine-tune LeNet-5 on handwritten digits and write a report"
	@echo "make test   install into $(VENV), then run the tests, but those of make deep"
	@echo "make fast   the tests that take a second or less each: two to four minutes"
	@echo "make deep   what make test leaves out, such as the deepest networks: an hour or two"
	@echo "make installed PYTHON=python3.13"
	@echo "            the demo and the tests of make fast on what pip install leaves, under any Python"
	@echo "make lint   ruff: its checks, and its format"

# Made once, and again when the list of dependencies changes.
$(READY): setup.cfg pyproject.toml
	@echo "Creating $(VENV) and installing the project into it: a few minutes, once."
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.12 ..."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
	@touch $(READY)

demo: $(READY)
	@echo "Running the demo: digits of scikit-learn, LeNet-5 pretrained on MNIST."
	@$(BIN)/python -m recipes.demo

test: $(READY)
	@echo "Running the tests; those that need data or packages which are not here are named as skipped."
	@$(BIN)/python -m pytest -n 2

fast: $(READY)
	@$(BIN)/python -m pytest -n 2 -m "not slow"

deep: $(READY)
	@echo "Running what make test leaves out: an hour or two on two cores."
	@$(BIN)/python -m pytest -n 2 -m deep

# As a user has it: not editable. The checkout in which the tests run has no packages, so that they can only import what is
# installed; it is the last commit's.
INSTALLED = build/installed-$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
CHECKOUT = $(INSTALLED)/checkout

installed: export ZOO_SHARED ?= $(abspath ../shared)
installed:
	@rm -rf $(INSTALLED)
	@mkdir -p $(CHECKOUT)
	@git archive HEAD | tar -x -C $(CHECKOUT)
	@$(PYTHON) -m venv $(INSTALLED)
	@echo "Installing the project into $(INSTALLED): a few minutes."
	@$(INSTALLED)/bin/python -m pip install --quiet --disable-pip-version-check "$(CHECKOUT)[dev]"
	@cd $(CHECKOUT) && rm -rf zoo callbacks recipes build *.egg-info
	@cd $(CHECKOUT) && ../bin/zoo demo
	@cd $(CHECKOUT) && ../bin/pytest -n 2 -m "not slow"

lint: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

clean:
	rm -rf $(VENV) runs build *.egg-info
