# What a person types. `make run` and `make test` set up what they need and say what they can't.
CARGO ?= cargo
HOST := target/debug/hookwright
PLUGINS := $(patsubst plugins/%/Cargo.toml,%,$(wildcard plugins/*/Cargo.toml))
BUILD_PLUGINS := $(HOST) plugin build $(addprefix plugins/,$(PLUGINS)) --out target/plugins/built
DENY_VERSION := 0.20.2
SCHEMATHESIS_VERSION := 4.32.5

.PHONY: help run test check bench flood fleet precision plugins deb setup setup-tests for-tests languages costs findings clean
help: ## Show what there is.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

run: setup ## Build what the demo needs, send a real event through a host, leave it running.
	@CARGO='$(CARGO)' ./.ci/first-event

test: setup-tests for-tests ## Run every test.
	@./.ci/schemathesis $(SCHEMATHESIS_VERSION)
	$(CARGO) test --workspace --all-targets
	$(CARGO) test --workspace --doc

check: setup ## Format, lints, licences, the order of the modules.
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) clippy --workspace --test languages -- -D warnings
	$(CARGO) clippy -p hookwright --no-default-features -- -D warnings
	@./.ci/deny $(DENY_VERSION)
	$(CARGO) test --workspace --test tidy

bench: setup plugins ## Measure against the limits of this machine, in one run.
	$(CARGO) build --release -p hookwright
	$(CARGO) run --release -p hookwright-tests --bin bench -- --plugins target/plugins/built

flood: setup ## Measure what 50,000 bad requests a minute do to a good source.
	$(CARGO) build --release -p hookwright
	$(CARGO) run --release -p hookwright-tests --bin flood

fleet: setup ## Measure what dead and slow destinations do to the healthy ones among 10,000.
	$(CARGO) build --release -p hookwright
	$(CARGO) run --release -p hookwright-tests --bin fleet

precision: setup ## Measure how late a retry starts with 1,000,000 deliveries waiting.
	$(CARGO) run --release -p hookwright-tests --bin precision

plugins: $(HOST) ## Build the plugins to target/plugins/built.
	$(BUILD_PLUGINS)

# The binary that the tests run, by the same selection of packages as the tests: cargo unites the features of what it
# builds together, and by another selection it would compile most dependencies twice.
for-tests:
	$(CARGO) build --workspace --bin hookwright --tests
	$(BUILD_PLUGINS)

deb: setup ## Make a Debian package in target/deb.
	$(CARGO) build --release --locked -p hookwright
	./deploy/deb/build target/release/hookwright target/deb

setup: ## Install what is missing (Debian: by apt-get).
	@./.ci/setup

setup-tests:
	@./.ci/setup tests

languages: setup for-tests ## Test plugins in JavaScript, TypeScript, Python and C by their real tools.
	@./.ci/languages
	$(CARGO) test --workspace --test languages

costs: setup plugins ## Measure what plugins cost by language, and 100 at once; write it into the guide.
	@./.ci/languages
	$(CARGO) build --release -p hookwright
	$(CARGO) run --release -p hookwright-tests --bin bench -- --plugins target/plugins/built --languages --write

.PHONY: $(HOST)
$(HOST):
	$(CARGO) build -p hookwright

findings: ## Check that other software still behaves as findings/ says; needs the package registries.
	@mkdir -p target; failed=0; for script in findings/*.sh; do \
	  [ -e "$$script" ] || continue; printf '%s: ' "$$script"; \
	  if "$$script" > target/finding.log 2>&1; then tail -n 1 target/finding.log; \
	  else failed=1; echo 'not as stated:'; cat target/finding.log; fi; done; exit $$failed

clean: ## Remove what was built.
	$(CARGO) clean
