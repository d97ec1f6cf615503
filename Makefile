# Everything a person or CI does here; `make help` lists it.
# The program needs Rust alone; its helper for `compute` needs libtorch, which Python 3 fetches.

CARGO ?= cargo
PYTHON ?= python3
PREFIX ?= $(HOME)/.local
BINARY := target/release/entropy-viz
HELPER := target/release/entropy-viz-compute
# Built apart from the program: Cargo would give the program the features that only the helper asks for.
COMPUTE := --package entropy-kernels --package entropy-viz-compute
REFERENCE := .venv/reference/bin/python

.PHONY: help build compute demo test lint audit sanitize fuzz torture bench dist install clean libtorch

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

build: ## the program, into target/release
	$(CARGO) build --release --locked

compute: libtorch ## the helper of `entropy-viz compute`, into target/release
	$(CARGO) build --release --locked --package entropy-viz-compute

libtorch:
	PYTHON=$(PYTHON) scripts/libtorch.sh

demo: ## pictures and numbers of the real runs in tests/fixtures, into demo/ (a quick build, not the one to install)
	$(CARGO) build --profile demo --locked
	mkdir -p demo
	target/demo/entropy-viz auto tests/fixtures/models --smooth ema:0.8 --artifacts demo
	target/demo/entropy-viz stats tests/fixtures/models --no-plot
	@echo "look at demo/entropy_comparison.png"

test: libtorch ## both programs, and every test (a browser is installed if there is none)
	PYTHON=$(PYTHON) scripts/browser.sh .venv/browser
	$(CARGO) test --locked --no-fail-fast; program=$$?; \
	$(CARGO) test --locked --no-fail-fast $(COMPUTE) && exit $$program

lint: libtorch ## format, clippy, documentation, links in the documents; that the fuzz targets build
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(CARGO) clippy --locked --all-targets $(COMPUTE) -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --document-private-items
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --document-private-items $(COMPUTE)
	$(CARGO) check --locked --manifest-path fuzz/Cargo.toml --target-dir target/fuzz-check
	$(PYTHON) scripts/check_links.py

audit: ## licences, sources and duplicates of the dependencies, by cargo-deny
	scripts/audit.sh

sanitize: ## the tests of the helper's kernels under AddressSanitizer
	scripts/sanitize.sh

fuzz: ## the readers on what no trainer writes, FUZZ_SECONDS=20 a target
	scripts/fuzz.sh

torture: build compute ## tries to break both programs, five to ten minutes
	$(PYTHON) tests/torture/run.py $(BINARY) --helper $(HELPER)

bench: build compute $(REFERENCE) ## time and memory beside matplotlib, TensorBoard, wandb, transformers (makes .venv, 5 GB)
	$(PYTHON) benches/run.py $(BINARY)
	$(PYTHON) benches/readers.py $(BINARY)
	$(PYTHON) benches/compute.py $(HELPER) --reference $(REFERENCE)

$(REFERENCE):
	$(PYTHON) -m venv .venv/reference
	.venv/reference/bin/pip install --quiet --disable-pip-version-check torch==2.11.0 transformers==5.23.0 numpy==2.4.6

dist: ## what is handed out (wheel, sdist, archive, crate, SBOM, checksums), into dist/, tried in a clean folder
	CARGO=$(CARGO) PYTHON=$(PYTHON) scripts/dist.sh all

install: build ## the programs (the helper if it is built), manual pages and completions, below PREFIX
	install -Dm755 $(BINARY) $(PREFIX)/bin/entropy-viz
	if [ -e $(HELPER) ]; then install -m755 $(HELPER) $(PREFIX)/bin/entropy-viz-compute; fi
	scripts/dist.sh share $(BINARY) $(PREFIX)

clean: ## what the targets made
	$(CARGO) clean
	rm -rf demo dist .venv .libtorch
