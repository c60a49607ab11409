# `make` says what there is. Everything lives in .venv/ and .data/ beside this file.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
LOCKS := requirements/development.lock requirements/model.lock
PACKAGES := durable_agent_team workflows activities benchmarks docs tests tools worker.py starter.py

.DEFAULT_GOAL := help
.PHONY: help install demo up test check bench chaos lock

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) ## what is needed, into .venv (pinned, with hashes)

$(STAMP): $(LOCKS)
	@PYTHON="$(PYTHON)" bash requirements/install.sh

demo: $(STAMP) ## three short acts with a real model: parallel work, a crash, a limit
	@$(BIN)/python -m durable_agent_team.cli.demo

up: $(STAMP) ## the local stack in the foreground: Temporal and its UI, gateway, worker
	@$(BIN)/python -m durable_agent_team.local_stack

test: $(STAMP) ## the tests, a file at a time in each of two processes
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

check: $(STAMP) ## ruff, mypy --strict, import rules, generated documents, the compose file
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy $(wildcard $(PACKAGES))
	@$(BIN)/lint-imports
	@$(BIN)/python tools/generate_docs.py --check
	@bash requirements/check_compose.sh

bench: $(STAMP) ## the benchmarks: a table, and .data/bench.json (PEERS=1: beside other engines)
	@$(BIN)/python -m benchmarks$(if $(PEERS),.peers)

chaos: $(STAMP) ## kills, freezes and failures while runs go: a table, and .data/chaos.json (RUNS=, SEED=)
	@$(BIN)/python -m tests.chaos $(if $(RUNS),--runs $(RUNS)) $(if $(SEED),--seed $(SEED))

lock: ## new lock files from pyproject.toml (needs uv)
	@command -v uv >/dev/null || { echo "make lock needs uv: https://docs.astral.sh/uv/"; exit 1; }
	@uv pip compile pyproject.toml --generate-hashes --universal --python-version 3.11 --no-header \
		--no-emit-index-url --no-emit-find-links --extra gateway --extra worker \
		-q -o requirements/service.lock
	@uv pip compile pyproject.toml --generate-hashes --universal --python-version 3.11 --no-header \
		--no-emit-index-url --no-emit-find-links --all-extras -q -o requirements/development.lock
