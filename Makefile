# `make` lists the commands. They write to .venv/ and .data/ only.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
# What the commands of README.md need, and what the tests and checks need in addition.
STAMP := .venv/.installed
DEVELOPMENT_STAMP := .venv/.installed-development
PACKAGES := durable_agent_team workflows activities benchmarks conformance docs tests tools worker.py starter.py
# Ctrl-C in the first milliseconds of Python would print a traceback: it waits until Python is ready
# for it (`end_quietly`). An `env` of another system may not have the option.
QUIETLY = $(shell env --block-signal=INT true 2>/dev/null && echo env --block-signal=INT)

# A test that hangs ends its process (tests/conftest.py). The process that takes its place begins with
# the same test again: after the second one the run ends.
IN_PARALLEL := --dist loadfile --no-loadscope-reorder --max-worker-restart 2
# Tests with servers wait for half of their time, so that four files keep two cores busy.
AT_ONCE := 4

.DEFAULT_GOAL := help
.PHONY: help install demo up test fast fuzz check bench chaos frameworks lock

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) ## install what running needs into .venv (pinned, with hashes)

$(STAMP): requirements/local.lock requirements/model.lock
	@PYTHON="$(PYTHON)" bash requirements/install.sh local

$(DEVELOPMENT_STAMP): $(STAMP) requirements/development.lock
	@PYTHON="$(PYTHON)" bash requirements/install.sh development

demo: $(STAMP) ## run four short acts with a real model: parallel work, two crashes, a budget limit
	@$(QUIETLY) $(BIN)/python -m durable_agent_team.cli.demo

up: $(STAMP) ## run the local stack in the foreground: Temporal and its UI, gateway, worker
	@$(QUIETLY) $(BIN)/python -m durable_agent_team.local_stack

test: $(DEVELOPMENT_STAMP) ## run all tests, four files at a time, or only FILES= (VANILLA=1: without SDK patches)
	@$(BIN)/python -m pytest $(if $(VANILLA),--vanilla) \
		$(or $(FILES),-n $(AT_ONCE) $(IN_PARALLEL))

fast: $(DEVELOPMENT_STAMP) ## run the tests that need no server, in about a minute
	@$(BIN)/python -m pytest --fast -n 2 $(IN_PARALLEL)

fuzz: $(DEVELOPMENT_STAMP) ## generate about fifty thousand inputs, or FUZZ_EXAMPLES= for each generator
	@FUZZ_EXAMPLES=$(or $(FUZZ_EXAMPLES),4000) $(BIN)/python -m pytest -m fuzz --timeout 3600 \
		--hypothesis-profile random \
		$(or $(FILES),tests)

check: $(DEVELOPMENT_STAMP) ## run ruff, mypy --strict, import rules, generated documents, the compose file
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy $(wildcard $(PACKAGES))
	@$(BIN)/lint-imports
	@$(BIN)/python tools/generate_docs.py --check
	@bash requirements/check_compose.sh

bench: $(DEVELOPMENT_STAMP) ## measure; results in .data/bench.json (ROWS=, AGAINST=<revision>, THESE_ROWS=1, PEERS=1)
	@$(BIN)/python -m benchmarks$(if $(PEERS),.peers)$(if $(AGAINST),.against $(AGAINST)) \
		$(foreach row,$(ROWS),--only $(row)) $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(QUICK),--quick) \
		$(if $(THESE_ROWS),--these-rows)

chaos: $(DEVELOPMENT_STAMP) ## kill and freeze processes under runs; results in .data/chaos.json (RUNS=, SEED=)
	@$(BIN)/python -m tests.chaos $(if $(RUNS),--runs $(RUNS)) $(if $(SEED),--seed $(SEED))

frameworks: $(DEVELOPMENT_STAMP) ## run agents of LangGraph, CrewAI, and five more; installs them below .data (TEAMS=, SCRIPTED=1)
	@$(BIN)/python -m tests.frameworks $(TEAMS) $(if $(SCRIPTED),--scripted)

lock: ## write new lock files from pyproject.toml (needs uv)
	@command -v uv >/dev/null || { echo "make lock needs uv: https://docs.astral.sh/uv/"; exit 1; }
	@$(COMPILE) --all-extras -o requirements/development.lock
	@$(COMPILE) -c requirements/development.lock --extra local --extra mcp -o requirements/local.lock
	@$(COMPILE) -c requirements/development.lock --extra gateway --extra worker \
		-o requirements/service.lock
	@for each in teams/frameworks/envs/*/; do \
		$(COMPILE_FRAMEWORK) "$${each}requirements.in" -o "$${each}requirements.lock" || exit 1; done
	@$(COMPILE_FRAMEWORK) tests/frameworks/requirements.in -c requirements/development.lock \
		--no-annotate $(INSTALLED_ALREADY) -o tests/frameworks/requirements.lock

COMPILE = uv pip compile pyproject.toml --generate-hashes --universal --python-version 3.11 -q \
	--no-header --no-emit-index-url --no-emit-find-links

COMPILE_FRAMEWORK = uv pip compile --generate-hashes --universal --python-version 3.11 -q \
	--no-header --no-emit-index-url --no-emit-find-links
# What the development environment has, so that two frameworks can be installed beside it.
INSTALLED_ALREADY = $(shell sed -n 's/^\([a-z0-9._-]*\)==.*/--no-emit-package \1/p' \
	requirements/development.lock) --no-emit-package pywin32
