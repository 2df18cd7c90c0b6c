# Everything a person or the CI types. `make help` lists the targets; each installs what it needs.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
export PATH := $(PATH):$(HOME)/.cargo/bin

# What Debian 12 and 13 must have besides a Rust toolchain. tests/setup-machine.sh installs what is missing.
#   build:     gcc libc6-dev make        (C code of zstd and the TLS library; everything else is Rust)
#   clusters:  postgresql pgbackrest     (the lab, the tests and the benchmark run the real ones)
#   failover:  patroni etcd-server python3-etcd (the situations of an incident are judged beside the real ones)
#   tests:     openssl zstd lz4 bzip2 gzip (our decoder is checked against the stock tools), tmux (screens)
#   fetching:  ca-certificates curl python3 python3-pip unzip debootstrap (other PostgreSQL and pgBackRest versions, by name)
#   handling:  util-linux (setpriv, flock), procps (ps), tar, xz-utils
PACKAGES := gcc libc6-dev make postgresql pgbackrest patroni etcd-server python3-etcd openssl zstd lz4 bzip2 gzip tmux \
            ca-certificates curl python3 python3-pip unzip debootstrap util-linux procps tar xz-utils

# Root and the CI have no excuse: there a test that needs a server fails instead of being skipped.
ifneq ($(or $(CI),$(filter 0,$(shell id -u))),)
export REQUIRE_SERVERS ?= 1
endif

# Half of the time a test waits for a server: one more at a time than there are processors.
export NEXTEST_TEST_THREADS ?= $(shell expr $$(nproc) + 1)

.DEFAULT_GOAL := help
.PHONY: help setup setup-postgres setup-pgbackrest build demo test lint lint-tools bench endurance pictures clean-lab

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' Makefile

setup: ## install what is missing on this machine (Debian: PostgreSQL, pgBackRest, tmux, …)
	@tests/setup-machine.sh $(PACKAGES)

setup-postgres: setup
	@if [ -x tests/setup-postgres.sh ]; then tests/setup-postgres.sh; fi

setup-pgbackrest: setup
	@tests/setup-pgbackrest.sh

build: setup
	cargo build --release --locked

demo: build ## a real cluster, a real disaster, the recovery to the row, timed
	cargo run --release --locked --quiet -- lab demo

test: setup-postgres setup-pgbackrest ## all tests, with real servers
	@if cargo nextest --version >/dev/null 2>&1; then \
	    cargo nextest run --locked --no-fail-fast && cargo test --locked --doc; \
	else \
	    cargo test --locked --no-fail-fast; \
	fi

lint-tools:
	@cargo deny --version >/dev/null 2>&1 || cargo install --locked --debug --quiet cargo-deny

lint: setup lint-tools ## formatting, clippy, documentation, licences, layering
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps --quiet
	cargo deny --log-level error check licenses bans sources
	cargo test --locked --quiet --test layers

bench: setup ## restore, backup, archive-get and -push, verify, info against the installed pgBackRest (half an hour, 15 GB)
	cargo bench --locked --bench restore

endurance: setup-postgres setup-pgbackrest ## the long runs: every bit flipped, wide matrices, load (an hour)
	PGMAYDAY_ENDURANCE=1 PGMAYDAY_FUZZ_CASES=$${PGMAYDAY_FUZZ_CASES:-100000} \
	    PGMAYDAY_KILLS=$${PGMAYDAY_KILLS:-50} PGMAYDAY_FLIPS=$${PGMAYDAY_FLIPS:-5000} \
	    PGMAYDAY_BACKUPS=$${PGMAYDAY_BACKUPS:-50} PGMAYDAY_LOAD_SECONDS=$${PGMAYDAY_LOAD_SECONDS:-300} \
	    cargo test --locked --profile endurance --no-fail-fast -- --include-ignored

pictures: build ## the README's pictures, made anew from the running program
	@assets/pictures.sh target/release/pgmayday

clean-lab: ## stop and remove the lab of this checkout
	cargo run --release --locked --quiet -- lab down
