# The names people try first; what they do is in scripts/ and in cargo.

.DEFAULT_GOAL := help
.PHONY: help build test test-fast lint fmt demo docs bench soak clean

help: ## Lists the targets
	@sed -n 's/^\([a-z-]*\): ## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

build: ## Builds target/release/bankwatch
	cargo build --release --locked

test: ## Checks everything, as CI does
	scripts/test

test-fast: ## Runs the tests that need no server, except for the slowest
	scripts/test --fast

lint: ## Format and lints alone
	cargo fmt --check
	cargo clippy --profile quick --workspace --all-targets --locked -- -D warnings
	cargo clippy --profile quick --bin bankwatch --locked -- -D warnings

fmt: ## Formats the source
	cargo fmt

demo: ## Runs the service on a simulated bank
	scripts/demo

docs: ## Builds the documentation of the code
	RUSTDOCFLAGS="-D warnings" cargo doc --profile quick --no-deps --locked

bench: ## Measures
	cargo bench --locked

soak: ## Breaks things at random for SECONDS (an hour)
	CHAOS_SECONDS=$(or $(SECONDS),3600) cargo test --profile quick --locked --test e2e -- service::chaos --nocapture

clean: ## Removes what was built
	cargo clean
