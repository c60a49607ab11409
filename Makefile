# `make` lists the commands. They write to .venv/ and .data/ only.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
LOCKS := requirements/development.lock requirements/model.lock
PACKAGES := durable_agent_team workflows activities benchmarks docs tests tools worker.py starter.py

.DEFAULT_GOAL := help
.PHONY: help install demo up test fast fuzz check bench chaos lock

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) ## install the dependencies into .venv (pinned, with hashes)

$(STAMP): $(LOCKS)
	@PYTHON="$(PYTHON)" bash requirements/install.sh

demo: $(STAMP) ## run three short acts with a real model: parallel work, a crash, a budget limit
	@$(BIN)/python -m durable_agent_team.cli.demo

up: $(STAMP) ## run the local stack in the foreground: Temporal and its UI, gateway, worker
	@$(BIN)/python -m durable_agent_team.local_stack

test: $(STAMP) ## run all tests, two files at a time, or only FILES= (VANILLA=1: without SDK patches)
	@$(BIN)/python -m pytest $(if $(VANILLA),--vanilla) \
		$(or $(FILES),-n 2 --dist loadfile --no-loadscope-reorder)

fast: $(STAMP) ## run the tests that need no server, in less than a minute
	@$(BIN)/python -m pytest --fast -n 2 --dist loadfile --no-loadscope-reorder

fuzz: $(STAMP) ## generate about fifty thousand inputs, or FUZZ_EXAMPLES= for each generator
	@FUZZ_EXAMPLES=$(or $(FUZZ_EXAMPLES),4000) $(BIN)/python -m pytest -m fuzz --timeout 3600 \
		$(or $(FILES),tests)

check: $(STAMP) ## run ruff, mypy --strict, import rules, generated documents, the compose file
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy $(wildcard $(PACKAGES))
	@$(BIN)/lint-imports
	@$(BIN)/python tools/generate_docs.py --check
	@bash requirements/check_compose.sh

bench: $(STAMP) ## measure; results in .data/bench.json (ROWS=, AGAINST=<revision>, THESE_ROWS=1, PEERS=1)
	@$(BIN)/python -m benchmarks$(if $(PEERS),.peers)$(if $(AGAINST),.against $(AGAINST)) \
		$(foreach row,$(ROWS),--only $(row)) $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(QUICK),--quick) \
		$(if $(THESE_ROWS),--these-rows)

chaos: $(STAMP) ## kill and freeze processes under runs; results in .data/chaos.json (RUNS=, SEED=)
	@$(BIN)/python -m tests.chaos $(if $(RUNS),--runs $(RUNS)) $(if $(SEED),--seed $(SEED))

lock: ## write new lock files from pyproject.toml (needs uv)
	@command -v uv >/dev/null || { echo "make lock needs uv: https://docs.astral.sh/uv/"; exit 1; }
	@uv pip compile pyproject.toml --generate-hashes --universal --python-version 3.11 --no-header \
		--no-emit-index-url --no-emit-find-links --extra gateway --extra worker \
		-q -o requirements/service.lock
	@uv pip compile pyproject.toml --generate-hashes --universal --python-version 3.11 --no-header \
		--no-emit-index-url --no-emit-find-links --all-extras -q -o requirements/development.lock
