# The names people try first; what they do is in scripts/ and in cargo.

.DEFAULT_GOAL := help
.PHONY: help build test lint fmt demo docs bench soak clean

help: ## Lists the targets
	@sed -n 's/^\([a-z]*\): ## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 10

build: ## Builds target/release/bankwatch
	cargo build --release --locked

test: ## Checks everything, as CI does
	scripts/test

lint: ## Format and lints alone
	cargo fmt --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

fmt: ## Formats the source
	cargo fmt

demo: ## Runs the service on a simulated bank
	scripts/demo

docs: ## Builds the documentation of the code
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --locked

bench: ## Measures
	cargo bench --locked

soak: ## Breaks things at random for SECONDS (an hour)
	CHAOS_SECONDS=$(or $(SECONDS),3600) cargo test --locked --test e2e -- service::chaos --nocapture

clean: ## Removes what was built
	cargo clean
