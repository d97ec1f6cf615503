# The commands that people and CI use; `make help` lists them.
# The program needs only Rust. The helper of `compute` needs libtorch, which scripts/libtorch.sh downloads with Python 3.

CARGO ?= cargo
PYTHON ?= python3
PREFIX ?= $(HOME)/.local
BINARY := target/release/entropy-viz
HELPER := target/release/entropy-viz-compute
LINKED := target/release/libtorch
# `make cluster PROGRAMS=target/debug` tests what is there, without building.
PROGRAMS ?= target/release
# Built separately from the program: in one build, Cargo would give the program the features that only the helper needs.
COMPUTE := --package entropy-kernels --package entropy-rows --package entropy-viz-compute
REFERENCE := .venv/reference/bin/python
SIMULATE := .venv/simulate/bin/python
TOOLS := target/tools
MDBOOK := 0.5.4
# The oldest supported Rust, as Cargo.toml declares it.
MSRV := $(shell sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)

.PHONY: help build compute rows demo test test-program lint spell docs msrv audit sanitize fuzz torture cluster simulate bench dist pin install clean libtorch

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

build: ## build the program into target/release
	$(CARGO) build --release --locked

compute: libtorch ## build the helper of `entropy-viz compute` into target/release
	$(CARGO) build --release --locked --package entropy-viz-compute
	@# Neither program searches the current directory for libtorch: this link beside them is what they find.
	ln -sfn "$$(realpath "$${LIBTORCH:-.libtorch}")" $(LINKED)

rows: ## build the C library entropy_rows into target/release
	$(CARGO) build --release --locked --package entropy-rows

libtorch:
	PYTHON=$(PYTHON) scripts/libtorch.sh

demo: ## draw the real runs in tests/fixtures into demo/, and print their statistics (quick build: the demo profile)
	$(CARGO) build --profile demo --locked
	mkdir -p demo
	target/demo/entropy-viz auto tests/fixtures/models --smooth ema:0.8 --artifacts demo
	target/demo/entropy-viz stats tests/fixtures/models --no-plot
	@echo "look at demo/entropy_comparison.png"

test: libtorch ## run all tests of the program and the helper (installs Chromium if it is missing)
	PYTHON=$(PYTHON) scripts/browser.sh .venv/browser
	$(CARGO) test --locked --no-fail-fast; program=$$?; \
	$(CARGO) test --locked --no-fail-fast $(COMPUTE); compute=$$?; \
	$(PYTHON) tests/readme.py target/debug/entropy-viz --helper target/debug/entropy-viz-compute; readme=$$?; \
	PYTHON=$(PYTHON) scripts/python.sh test && exit $$((program + compute + readme))

test-program: ## run the tests of the program and its libraries, without libtorch and without a browser
	$(CARGO) test --locked --no-fail-fast -- --skip in_a_browser
	PYTHON=$(PYTHON) scripts/python.sh quick

lint: libtorch spell ## check format, clippy, rustdoc, spelling, links, the Python package, and that the fuzz targets compile
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(CARGO) clippy --locked --all-targets $(COMPUTE) -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --document-private-items
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --document-private-items $(COMPUTE)
	$(CARGO) check --locked --manifest-path fuzz/Cargo.toml --target-dir target/fuzz-check
	$(PYTHON) scripts/check_links.py
	PYTHON=$(PYTHON) scripts/python.sh lint

spell: ## check spelling (typos, into .venv/spell)
	PYTHON=$(PYTHON) scripts/spell.sh

docs: ## build the documentation as a book into target/book (installs mdbook into target/tools)
	[ "$$($(TOOLS)/bin/mdbook --version 2>/dev/null)" = "mdbook v$(MDBOOK)" ] || nice $(CARGO) install mdbook \
	    --locked --version $(MDBOOK) --debug --no-default-features --features search --root $(TOOLS)
	$(TOOLS)/bin/mdbook build docs

msrv: ## check that the program compiles with the Rust version that Cargo.toml declares
	rustup run $(MSRV) rustc --version 2>/dev/null || rustup toolchain install $(MSRV) --profile minimal
	RUSTUP_TOOLCHAIN=$(MSRV) $(CARGO) check --locked --target-dir target/msrv

audit: ## check licences, sources and duplicates of the dependencies (cargo-deny)
	scripts/audit.sh

sanitize: libtorch ## run the tests of entropy-kernels and entropy-rows under AddressSanitizer
	PYTHON=$(PYTHON) scripts/sanitize.sh

fuzz: ## fuzz the log readers, FUZZ_SECONDS=20 per target
	scripts/fuzz.sh

torture: build compute ## stress both programs: kills, full disks, hostile input (5-10 minutes)
	$(PYTHON) tests/torture/run.py $(BINARY) --helper $(HELPER)

cluster: $(if $(filter target/release,$(PROGRAMS)),build compute) ## run the Slurm and Ray examples on a real Slurm and Ray (in .venv/cluster; Debian, Ubuntu)
	PYTHON=$(PYTHON) scripts/cluster.sh $(PROGRAMS)/entropy-viz

simulate: build $(SIMULATE) ## measure coverage of intervals, false alarms and delay of states by simulation (up to 5 minutes)
	$(SIMULATE) tests/simulate/run.py $(BINARY)

$(SIMULATE):
	$(PYTHON) -m venv .venv/simulate
	.venv/simulate/bin/pip install --quiet --disable-pip-version-check --requirement tests/simulate/requirements.txt

bench: build compute rows $(REFERENCE) ## compare time and memory with matplotlib, TensorBoard, wandb, transformers (5 GB in .venv)
	$(PYTHON) benches/run.py $(BINARY)
	$(PYTHON) benches/readers.py $(BINARY)
	$(PYTHON) benches/tokens.py $(BINARY)
	$(PYTHON) benches/compute.py $(HELPER) --reference $(REFERENCE)
	$(CARGO) bench --locked --package entropy-kernels
	$(REFERENCE) benches/rows.py target/release/libentropy_rows.so
	PYTHON=$(PYTHON) scripts/python.sh measure

$(REFERENCE):
	$(PYTHON) -m venv .venv/reference
	.venv/reference/bin/pip install --quiet --disable-pip-version-check torch==2.11.0 transformers==5.23.0 numpy==2.4.6

gallery: build ## draw every kind of picture, page and screen from real logs into target/gallery/index.html
	PYTHON=$(PYTHON) scripts/browser.sh .venv/browser
	$(PYTHON) scripts/gallery.py $(BINARY) target/gallery

dist: ## build wheels, sdist, archive, crates, SBOM and checksums into dist/, and test the wheels and the archive (600 MB of torch)
	CARGO=$(CARGO) PYTHON=$(PYTHON) scripts/dist.sh all

pin: ## add digests to the base images of the Dockerfile (needs docker and its registry)
	scripts/pin_images.sh

install: build ## install program, helper (if built), manual pages and completions below PREFIX
	install -Dm755 $(BINARY) $(PREFIX)/bin/entropy-viz
	if [ -e $(HELPER) ]; then install -m755 $(HELPER) $(PREFIX)/bin/entropy-viz-compute; fi
	if [ -e $(LINKED) ]; then mkdir -p $(PREFIX)/lib/entropy-viz && \
	    ln -sfn "$$(realpath $(LINKED))" $(PREFIX)/lib/entropy-viz/libtorch; fi
	scripts/dist.sh share $(BINARY) $(PREFIX)

clean: ## remove everything that these targets created
	$(CARGO) clean
	rm -rf demo dist .venv .libtorch
