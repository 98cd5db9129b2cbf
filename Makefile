# Keelback: build, run, test. `make help` lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUST_SOURCES := $(shell find crates -name '*.rs' -o -name Cargo.toml) Cargo.toml Cargo.lock
PORT ?= 4222
MONITOR_PORT ?= 8222
STORE ?= data
MINUTES ?= 20

.DEFAULT_GOAL := help
.PHONY: help build serve test test-rust test-python lint format bench soak planted wheel load clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

build: $(VENV)/.built ## a virtual environment with a release build of everything

$(VENV)/.python: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --group dev
	touch $@

$(VENV)/.built: $(VENV)/.python $(RUST_SOURCES)
	VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/maturin develop --release --quiet
	touch $@

serve: build ## build, then run the server on port 4222 (PORT=…), monitoring on 8222 (MONITOR_PORT=…), streams in ./data (STORE=…)
	exec $(BIN)/keelback-server -p $(PORT) -m $(MONITOR_PORT) -js -sd $(STORE)

load: $(VENV)/.python $(RUST_SOURCES)
	cargo build --quiet --release --package keelback-load --features tls

test: test-rust test-python ## everything that CI tests

test-rust:
	cargo test --quiet --workspace --exclude keelback-binding

test-python: build
	$(BIN)/python -m pytest

lint: build ## formatters, linters, types, generated pages
	cargo fmt --all --check
	cargo clippy --quiet --workspace --all-targets -- -D warnings
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright --project pyproject.toml
	$(BIN)/python -m mypy.stubtest --concise keelback._core
	$(BIN)/lint-imports
	$(BIN)/python tools/tidy.py
	$(BIN)/python tools/generate_configuration_docs.py --check

format: build ## format all sources
	cargo fmt --all
	$(BIN)/ruff format
	$(BIN)/ruff check --fix --quiet

bench: build load ## speed beside nats-server, with the relay as the limit
	$(BIN)/python bench/run.py $(BENCH)

soak: build load ## the long runs: fuzzing, leaks, hostile input, differential sessions
	$(BIN)/python tools/soak.py --minutes $(MINUTES) $(SOAK)

planted: build ## each planted bug must be found by a suite
	$(BIN)/python tools/planted.py $(PLANTED)

wheel: $(VENV)/.python ## a wheel for users without Rust, in dist/
	$(BIN)/maturin build --release --out dist

clean: ## remove what was built
	rm -rf $(VENV) target dist .build
