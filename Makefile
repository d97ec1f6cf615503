# Everything a person or CI does here; `make help` lists it.
# The program needs Rust alone; Python 3 makes the link check and the comparison with matplotlib.

CARGO ?= cargo
PYTHON ?= python3
PREFIX ?= $(HOME)/.local
BINARY := target/release/entropy-viz

.PHONY: help build demo test lint bench install clean

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

build: ## the program, into target/release
	$(CARGO) build --release --locked

demo: build ## pictures and numbers of the real runs in tests/fixtures, into demo/
	mkdir -p demo
	$(BINARY) auto tests/fixtures/models --smooth ema:0.8 --artifacts demo
	$(BINARY) stats tests/fixtures/models --no-plot
	@echo "look at demo/entropy_comparison.png"

test: ## every test
	$(CARGO) test --locked

lint: ## format, clippy, links in the documents
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(PYTHON) scripts/check_links.py

bench: build ## time and memory beside a matplotlib script (makes .venv/bench)
	$(PYTHON) benches/run.py $(BINARY)

install: build ## the program, its manual pages and completions, below PREFIX
	install -Dm755 $(BINARY) $(PREFIX)/bin/entropy-viz
	$(BINARY) man --dir $(PREFIX)/share/man/man1
	install -d $(PREFIX)/share/bash-completion/completions $(PREFIX)/share/zsh/site-functions
	$(BINARY) completions bash > $(PREFIX)/share/bash-completion/completions/entropy-viz
	$(BINARY) completions zsh > $(PREFIX)/share/zsh/site-functions/_entropy-viz

clean: ## what the targets made
	$(CARGO) clean
	rm -rf demo .venv
