# Haechi: `make demo` shows it at work, `make test` proves it. Everything lands in .venv and .demo.
PYTHON ?= python3
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help venv native demo test test-full prove kills check bench bench-peers format lock clean

help: ## what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

venv: $(VENV)/.ready native ## the virtual environment with hash-locked dependencies

$(VENV)/.ready: requirements/dev.lock requirements/llm.lock pyproject.toml
	@echo "== virtual environment and hash-locked dependencies in $(VENV) (the first time takes a minute or two)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Haechi needs Python 3.11 or newer / 파이썬 3.11 이상이 필요합니다")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements/dev.lock
	@$(BIN)/python -m pip install --quiet --require-hashes --no-deps -r requirements/llm.lock
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# Twice the filter's speed where there is a C compiler; without one, it says so and runs as written.
native: $(VENV)/.ready
	@$(BIN)/python -m filters.scripts.compile

demo: venv ## the main job on 127.0.0.1:8080: real prompts filtered, routed, answered, charged (ARGS=--once: run and exit)
	@$(BIN)/haechi demo $(ARGS)

WORKERS ?= 2

test: venv ## the tests (needs only the Python index), two files at a time (WORKERS=0: one)
	@$(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile -m "not slow and not full" $(ARGS)
	@echo "== tests passed. Next: make check, or make demo"

test-full: venv ## adds what needs Debian or npm packages (clients in JavaScript, a browser); installs them
	@./.ci/install-full
	@$(BIN)/python -m pytest -q -m "full" $(ARGS)
	@echo "== full tests passed"

PROOFS := tests/faults/test_kill_loop.py tests/faults/test_power_cut.py tests/faults/test_database_outage.py \
	tests/faults/test_overspend.py tests/faults/test_simulation.py tests/faults/test_kill_gateway.py \
	tests/faults/test_outage_gateway.py tests/limits/test_four_workers.py
KILLS := tests/faults/test_kill_loop.py tests/faults/test_kill_gateway.py

prove: venv ## the ledger's proofs at full size, hours, resumable (QUICK=1: CI's size): docs/reliability.md
ifdef QUICK
	@$(BIN)/python -m pytest -q -m "not slow and not full" $(PROOFS) tests/faults/test_clock.py tests/billing/store $(ARGS)
	@$(MAKE) --no-print-directory kills
else
	@HAECHI_PROOFS=docs/proofs/ledger.jsonl $(BIN)/python -m pytest -q -s -m "slow or full" $(PROOFS) $(ARGS)
	@$(BIN)/python -m pytest -q tests/faults/test_clock.py
	@$(BIN)/python -m benchmarks.ledger
endif

kills: venv ## 25 kills of a writer, and of whole gateways, on each database
	@HAECHI_KILL_ROUNDS=25 HAECHI_GATEWAY_KILLS=25 $(BIN)/python -m pytest -q -n $(WORKERS) -m slow $(KILLS) $(ARGS)

check: venv ## ruff, mypy --strict, import rules, migrations
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m migrations.check
	@echo "== check passed. Next: make test"

bench: venv ## how fast it is, everything switched on (needs wrk)
	@$(BIN)/python -m benchmarks.gateway $(ARGS)

bench-peers: venv ## the same beside LiteLLM and, with Node, Portkey, installed into a folder of their own
	@test -x .bench-peers/bin/litellm || ($(PYTHON) -m venv .bench-peers && .bench-peers/bin/pip install --quiet -r benchmarks/peers/requirements.txt)
	@! command -v npm >/dev/null || test -d .bench-peers/node_modules || (cp benchmarks/peers/package*.json .bench-peers/ && npm ci --silent --no-audit --no-fund --prefix .bench-peers)
	@$(BIN)/python -m benchmarks.gateway --peers .bench-peers $(ARGS)

format: venv ## format and mend what ruff can mend
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

lock: ## write requirements/*.lock anew from pyproject.toml (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --quiet --group dev pyproject.toml -o requirements/dev.lock
	uv pip compile --universal --python-version 3.11 --generate-hashes --quiet pyproject.toml -o requirements/run.lock
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-deps --quiet requirements/llm.in -o requirements/llm.lock
	uv pip compile --universal --python-version 3.11 --generate-hashes --quiet requirements/build.in -o requirements/build.lock
	uv pip compile --universal --python-version 3.11 --generate-hashes --quiet requirements/ci.in -o requirements/ci.lock

clean: ## remove the demo's data (the virtual environment stays)
	rm -rf .demo
