# make demo and make test do all the set-up they need. `make help` lists the rest.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.ONESHELL:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
BIN := .venv/bin
VSIX := build/memlens.vsix
PYTHON_SOURCES := $(shell find plugin lsp_server -name '*.py' -o -name '*.sql' -o -name '*.js' -o -name '*.css')
EXTENSION_SOURCES := $(shell find vscode-extension -type f -not -path '*/node_modules/*' \
	-not -path '*/dist/*' -not -path '*/bundled/*' -not -name '*.vsix') $(shell find web/src -type f)

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1|\2/' \
		| column -t -s '|'

.PHONY: demo
demo: .venv/installed ## Measure the example project and show what terminal and editor say
	@$(BIN)/python scripts/demo.py

.PHONY: test
test: system-packages test-extension test-web test-editor test-clients test-pythons test-trixie test-python ## Run every test

.PHONY: test-python
test-python: .venv/installed-dev ## Run the Python tests
	scripts/compile-plugins.sh $(BIN)/python
	$(BIN)/python -m pytest -n 2

.PHONY: test-pythons
test-pythons: .venv/installed-dev ## Run what depends on Python's version on the others that are here
	@scripts/test-pythons.sh -m 'not any_python' \
		$(addprefix tests/plugin/test_,$(addsuffix .py,shared_capture plugin markers leaked_objects \
		early_verdicts fixture_stacks kinds_of_tests heavy_tests opening summary export_kinds)) \
		$(addprefix tests/store/test_,$(addsuffix .py,results reading)) \
		$(addprefix tests/lsp_server/test_,$(addsuffix .py,tests_in_source markers_in_source \
		pytest_configuration commands running_from_the_editor))

.PHONY: test-pythons-all
test-pythons-all: .venv/installed-dev ## Run all of Python's tests there, and the plugin's in the Debian chroot
	@scripts/test-pythons.sh
	scripts/test-trixie.sh

.PHONY: test-trixie
test-trixie: .venv/installed-dev ## Test limit_leaked_objects on CPython 3.13.5, and Neovim 0.10, in a Debian chroot (root)
	@scripts/test-trixie.sh tests/plugin/test_leaked_objects.py tests/plugin/test_plugin.py \
		tests/clients/test_neovim.py

.PHONY: test-compat
test-compat: .venv/installed-dev ## Compare with pytest-memray on urllib3's tests (downloads, 2 minutes)
	@$(BIN)/python tests/compat/urllib3_suite.py

.PHONY: bench
bench: .venv/installed ## Compare what memlens costs with pytest-memray (downloads; SCENARIOS='light xdist')
	@$(BIN)/python benchmarks/run.py $(SCENARIOS)

.PHONY: bench-lsp
bench-lsp: .venv/installed-dev ## Measure the language server beside a bare pygls server and jedi's (downloads)
	@$(BIN)/python benchmarks/language_server.py

.PHONY: test-extension
test-extension: node_modules/.installed ## Run the extension's unit tests
	npm test

.PHONY: test-web
test-web: system-packages .venv/installed node_modules/.installed ## Run the tests of the HTML report, in a real browser
	npm run test:web

.PHONY: test-editor
test-editor: system-packages $(VSIX) build/user-venv/installed ## Run the end-to-end tests in a real VS Code
	home=$$(scripts/install-editor.sh | tail -n 1)
	MEMLENS_EDITOR_HOME="$$home" MEMLENS_VSIX="$$PWD/$(VSIX)" \
		MEMLENS_USER_PYTHON="$$PWD/build/user-venv/bin/python" npm run test:editor

.PHONY: screenshots
screenshots: system-packages $(VSIX) build/user-venv/installed ## Take the pictures of VS Code in README and walkthrough anew
	home=$$(scripts/install-editor.sh | tail -n 1)
	mkdir -p vscode-extension/images/screens
	MEMLENS_PICTURES=1 MEMLENS_EDITOR_HOME="$$home" MEMLENS_VSIX="$$PWD/$(VSIX)" \
		MEMLENS_USER_PYTHON="$$PWD/build/user-venv/bin/python" npm run test:editor

.PHONY: test-clients
test-clients: system-packages .venv/installed-dev ## Run sessions in a real Neovim and a real Emacs
	$(BIN)/python -m pytest tests/clients

.PHONY: check
check: .venv/installed-dev node_modules/.installed ## Lint, type-check and check who imports whom
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	npm run check

.PHONY: format
format: .venv/installed-dev node_modules/.installed ## Format everything
	$(BIN)/ruff format
	$(BIN)/ruff check --fix
	npm run format

.PHONY: package
package: $(VSIX) build/wheel/built ## Build the wheel and the .vsix into build/

.PHONY: pictures
pictures: system-packages .venv/installed node_modules/.installed ## Take the pictures of reports in docs/images anew
	$(BIN)/python scripts/picture-of-report.py
	npm run --silent picture

.PHONY: clean
clean: ## Delete everything that was built or installed here
	rm -rf .venv build node_modules vscode-extension/{node_modules,dist,bundled} \
		tests/editor/{node_modules,artifacts,test-results} {web,tests/web}/node_modules \
		tests/web/artifacts .mypy_cache .ruff_cache \
		.pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +

.PHONY: system-packages
system-packages:
	@scripts/install-system-packages.sh

.venv/installed: pyproject.toml
	@scripts/make-venv.sh "$(PYTHON)" .venv -e .
	touch $@

.venv/installed-dev: pyproject.toml
	@scripts/make-venv.sh "$(PYTHON)" .venv -e '.[dev]'
	touch $@ .venv/installed

node_modules/.installed: package.json package-lock.json vscode-extension/package.json web/package.json \
		tests/editor/package.json tests/web/package.json
	npm ci --no-audit --no-fund
	touch $@

build/wheel/built: $(PYTHON_SOURCES) pyproject.toml .venv/installed
	rm -rf build/wheel
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir build/wheel .
	touch $@

# What a user has: the wheel, and nothing for the language server, which the extension brings.
build/user-venv/installed: build/wheel/built
	rm -rf build/user-venv
	scripts/make-venv.sh "$(PYTHON)" build/user-venv build/wheel/*.whl
	touch $@

$(VSIX): $(EXTENSION_SOURCES) $(PYTHON_SOURCES) node_modules/.installed .venv/installed
	MEMLENS_PYTHON="$$PWD/$(BIN)/python" npm run package
	mkdir -p build
	cp vscode-extension/memlens-*.vsix $@
