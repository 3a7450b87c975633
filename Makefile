# Patchbay: every command a checkout offers. `make` alone prints this list.
SHELL := /bin/bash
VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup runtime demo up test test-unit test-contract test-switch test-e2e lint check bench bench-agents verify-pool \
	verify-privacy trace lock clean

help: ## print this list
	@grep -hE '^[a-z0-9-]+%?:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

$(STAMP): requirements.lock pyproject.toml tools/setup.sh
	@tools/setup.sh $(VENV)
	@touch $@

setup: $(STAMP) ## Python environment from the lock (no root)

runtime: $(STAMP) ## fetch Asterisk, Redis, SIPp, espeak-ng; build LiveKit's server where Go is (no root)
	@$(PY) -m gateway.cli runtime fetch

demo: runtime ## the main stories on real servers; report in var/demo/report.json
	@$(PY) -m gateway.cli demo

up: runtime ## the whole stack stays up; prints addresses and a key
	@$(PY) -m gateway.cli up

test: runtime ## all tiers
	@$(PY) -m pytest -n auto --dist loadfile tests/unit tests/architecture
	@$(PY) -m pytest tests/contract tests/switch tests/e2e

test-unit: $(STAMP) ## pure tests, on every core
	@$(PY) -m pytest -n auto --dist loadfile tests/unit tests/architecture

test-contract: runtime ## one suite over every real and in-memory backend
	@$(PY) -m pytest tests/contract

test-switch: runtime ## real Asterisk, SIPp as the world
	@$(PY) -m pytest tests/switch

test-e2e: runtime ## the whole product from outside
	@$(PY) -m pytest tests/e2e

lint: $(STAMP) ## format, lint, types, import contracts
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports --no-cache

check: lint ## the same, and budgets and unit tests
	@$(PY) -m pytest -q -n auto --dist loadfile tests/unit tests/architecture

bench: bench-ami bench-api bench-webhooks bench-calls bench-pool bench-masked bench-sms bench-agents bench-rooms ## all benchmarks

SECONDS ?= 120
bench-agents: runtime ## agents on calls; writes bench/results/agents.json (SECONDS=600: how long creep is watched)
	@$(PY) -m bench.agents --creep-seconds $(SECONDS)

bench-%: runtime ## one benchmark; writes bench/results/NAME.json
	@$(PY) -m bench.$*

OPS ?= 100000
verify-pool: runtime ## clients and crashes against the number pool, judged offline (OPS=1000000)
	@$(PY) -m tools.verify_pool --ops $(OPS)

CALLS ?= 10000
verify-privacy: runtime ## fuzzed masked calls, everything received searched for real numbers (CALLS=10000)
	@$(PY) -m tools.verify_privacy --calls $(CALLS)

trace: runtime ## record golden AMI traces from the real switch (NAME=… for one)
	@$(PY) -m tools.trace $(NAME)

lock: ## pin dependencies anew (hashes, no addresses)
	@tools/lock.sh

clean: ## remove the environment and everything under var/
	rm -rf $(VENV) var
