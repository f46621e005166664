# What one does with a checkout. `make` alone lists it.

# The demo and the system tests run Asterisk in a root folder and a mount namespace: that needs root.
AS_ROOT := $(shell [ "$$(id -u)" = 0 ] || echo sudo -E env PYTHONDONTWRITEBYTECODE=1)
PYTEST := .venv/bin/python -m pytest
# Workers have servers of their own. Those of the system tests wait for calls most of the time, so that there may be
# more of them than cores; what measures, or loads the machine, runs after them with nothing beside it.
SIDE_BY_SIDE := -n auto --maxprocesses 4 --dist loadgroup
CALLS_SIDE_BY_SIDE := -n 4 --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help demo up test unit integration system lint format sounds benchmark benchmark-lists benchmark-rules setup python clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1	/p' Makefile | expand -t 17

demo: setup ## sample calls through a real Asterisk, as a table (ASTERISK=16 for the older one)
	@$(AS_ROOT) .venv/bin/python -m tests.rig.demo

up: setup ## the same, up until Ctrl-C, with an account for a softphone
	@$(AS_ROOT) .venv/bin/python -m tests.rig.up

# The system tests run on the system's own Asterisk or 22, and then on 16; there without the minutes of load and of
# kills under load, and without those that its version hardly matters to: `ASTERISK=16 make system` has them, too.
test: ## everything: lint, unit, integration, system on Asterisk 22 and 16 (20 to 30 minutes)
	docker/setup.sh all
	ASTERISK=16 docker/setup.sh all
	$(MAKE) lint
	$(PYTEST) -q --no-skips $(SIDE_BY_SIDE) tests/unit
	$(AS_ROOT) $(PYTEST) -q --no-skips $(SIDE_BY_SIDE) tests/integration
	$(AS_ROOT) $(PYTEST) -q --no-skips $(CALLS_SIDE_BY_SIDE) -m "not alone" tests/system
	$(AS_ROOT) env ASTERISK=16 $(PYTEST) -q --no-skips $(CALLS_SIDE_BY_SIDE) -m "not alone and not once" tests/system
	$(AS_ROOT) $(PYTEST) -q --no-skips -m alone tests/system
	$(AS_ROOT) env ASTERISK=16 $(PYTEST) -q --no-skips -m "alone and not load" tests/system

unit: python ## the unit tests: seconds, no root, no services
	$(PYTEST) -q $(SIDE_BY_SIDE) tests/unit

integration: setup ## the tests with real Redis, SQLite and PostgreSQL
	$(AS_ROOT) $(PYTEST) -q $(SIDE_BY_SIDE) tests/integration

system: setup ## the tests with a real Asterisk and SIPp (ASTERISK=16 for the older one)
	$(AS_ROOT) $(PYTEST) -q $(CALLS_SIDE_BY_SIDE) -m "not alone" tests/system
	$(AS_ROOT) $(PYTEST) -q -m alone tests/system

lint: python ## ruff, mypy, the direction of imports
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

format: python ## put the code in shape
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

sounds: setup ## make the prompts anew from their text
	.venv/bin/python -m callguard.sounds.make

benchmark: setup ## the delay that the guard adds to a call
	$(AS_ROOT) .venv/bin/python -m tests.benchmarks.post_dial_delay

benchmark-lists: setup ## check, scrub, a million entries, lists of 1 to 250 million numbers (half an hour, 8 GB of disk)
	.venv/bin/python -m tests.benchmarks.check
	.venv/bin/python -m tests.benchmarks.scrub
	.venv/bin/python -m tests.benchmarks.entries
	.venv/bin/python -m tests.benchmarks.lists_at_scale

benchmark-rules: python ## what the rules cost a call, and how long they take to load (a minute)
	.venv/bin/python -m tests.benchmarks.screening

setup: ## what the rest needs: Debian packages, .venv, Asterisk
	@docker/setup.sh all

python:
	@docker/setup.sh python

clean: ## remove .venv and what the tools left (not the cached Asterisk)
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
