# Everything a checkout needs: `make demo` shows it work, `make test` proves it. Set-up is cached under .setup/.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
IMAGES ?= 200
JOBS ?= 2

.PHONY: help setup up demo test browser-test check lint types lock bench autoscale chaos clean
help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .setup/python .setup/node .setup/native ## make .venv and node_modules (the other targets run it when something changed)

.setup/python: requirements.txt worker/requirements.txt worker/native/requirements.txt requirements-dev.txt pyproject.toml
	@mkdir -p .setup
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Darkroom needs Python 3.11 or newer; $(PYTHON) is older. Set PYTHON=/path/to/python3." >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

.setup/node: package.json package-lock.json
	@mkdir -p .setup
	@command -v npm >/dev/null || { echo "Darkroom's local cloud needs Node 20 or newer (npm was not found)." >&2; exit 2; }
	npm ci --silent --no-progress
	@touch $@

.setup/native: .setup/python worker/native/strips.c worker/native/build.py
	$(BIN)/python worker/native/build.py || echo "The worker goes on without its compiled part: the same pixels, more slowly." >&2
	@touch $@

.setup/scan: tests/infra/requirements.txt
	@mkdir -p .setup
	@test -x .venv-scan/bin/python || $(PYTHON) -m venv .venv-scan
	.venv-scan/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r tests/infra/requirements.txt
	@touch $@

.setup/runtime: tests/runtime/requirements.txt requirements.txt
	@mkdir -p .setup
	@test -x .venv-runtime/bin/python || $(PYTHON) -m venv .venv-runtime
	.venv-runtime/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	.venv-runtime/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --ignore-requires-python -r tests/runtime/requirements.txt
	@touch $@

up: setup ## Azure on this machine: storage, events, functions, batch
	@exec $(BIN)/python -m localcloud up

demo: setup ## drop images, watch them become PNGs, check every pixel [IMAGES=200]
	@exec $(BIN)/python -m darkroom demo --images $(IMAGES)

test: setup .setup/scan .setup/runtime ## all tests [JOBS=2]
	$(BIN)/python -m pytest -q -n $(JOBS)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

browser-test: setup ## the page in a real browser (installs Debian's chromium where it can and must)
	$(BIN)/python -m tests.dashboard.browser.run

check: lint types test browser-test ## lint, types, tests, the page in a browser: what CI runs

chaos: IMAGES = 60
chaos: setup ## rounds of kills and faults on real processes, then an audit [SEED=n] [ROUNDS=1] [IMAGES=60]
	@exec $(BIN)/python -m tests.chaos --images $(IMAGES) --rounds $(or $(ROUNDS),1) $(if $(SEED),--seed $(SEED))

.setup/bench: benchmarks/requirements.txt benchmarks/package.json benchmarks/package-lock.json
	@mkdir -p .setup
	@test -x .venv-bench/bin/python || $(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r benchmarks/requirements.txt
	cd benchmarks && npm ci --silent --no-progress
	@touch $@

bench: setup .setup/bench ## measure the worker against Pillow, OpenCV, libvips and sharp, about 5 minutes [BENCH="--write"]
	$(BIN)/python -m benchmarks $(BENCH)

autoscale: setup ## compare autoscale formulas on all workloads: docs/autoscale/
	$(BIN)/python -m darkroom simulate --all --cap 20 --seed 1 --seed 2 --seed 3 --docs docs/autoscale

lock: ## pin the requirement files again
	for f in requirements worker/requirements worker/native/requirements requirements-dev tests/infra/requirements benchmarks/requirements; do \
	  UV_CUSTOM_COMPILE_COMMAND="make lock" uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	    --no-emit-index-url --no-emit-find-links $$f.in -o $$f.txt; done
	UV_CUSTOM_COMPILE_COMMAND="make lock" uv pip compile --quiet --python-version 3.13 --no-deps --generate-hashes \
	  --no-emit-index-url --no-emit-find-links tests/runtime/requirements.in -o tests/runtime/requirements.txt

clean: ## remove what setup made
	rm -rf .venv .venv-* node_modules .setup worker/native/*.so
