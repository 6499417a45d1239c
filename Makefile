# `make` alone lists the targets. Environments are made on first use and renewed when their inputs change.

VENV := .venv
VENV310 := .venv310
PYTHON := $(VENV)/bin/python
PIP_INSTALL := -m pip install --quiet --quiet --disable-pip-version-check
WITH_NODE := PATH="$(CURDIR)/$(VENV)/bin:$$PATH"
ARGS :=

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test bench bench-kernels lint wasm site npm-package check-wheel check-site clean test-environment

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  \033[1mmake %-13s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.demo web/node_modules/.installed ## compile, verify and run the digits model, then serve its page
	@$(VENV)/bin/tinyinfer demo $(ARGS)

test: test-environment ## run every test, the browser's and wasmer's included (ARGS="-k conv" chooses)
	@$(WITH_NODE) $(PYTHON) tools/run_tests.py $(ARGS)

bench: $(VENV)/.bench web/node_modules/.installed ## measure whole models beside onnxruntime-web and TF.js (ARGS=--quick)
	@tools/install_browsers.sh chromium
	@$(PYTHON) -m benchmarks run $(ARGS)

bench-kernels: $(VENV)/.bench web/node_modules/.installed ## measure every kernel on the layers of real models
	@tools/install_browsers.sh chromium
	@$(PYTHON) -m benchmarks kernels $(ARGS)

lint: $(VENV)/.dev web/node_modules/.installed ## ruff, mypy --strict, biome, tsc --checkJs
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m mypy
	@cd web && $(WITH_NODE) node_modules/.bin/biome check --error-on-warnings .
	@cd web && $(WITH_NODE) node_modules/.bin/tsc -p tsconfig.json
	@cd web && $(WITH_NODE) node_modules/.bin/biome check --error-on-warnings --config-path=. ../benchmarks/web ../tests/bundlers/bundle.js
	@cd web && $(WITH_NODE) node_modules/.bin/tsc -p ../benchmarks/web/tsconfig.json

wasm: $(VENV)/.demo ## assemble the kernels and print their sizes
	@$(PYTHON) -m tinyinfer.wasm_backend $(ARGS)

site: $(VENV)/.demo web/node_modules/.installed ## make the static site of the digits demo in dist/site
	@$(VENV)/bin/tinyinfer bundle examples/digits/digits.onnx -o dist/site --demo

npm-package: wasm web/node_modules/.installed ## make the npm package in dist
	@mkdir -p dist
	@$(WITH_NODE) $(PYTHON) tools/npm_pack.py dist

check-wheel: $(VENV)/.dev web/node_modules/.installed ## build the wheel and use it in a fresh environment
	@$(PYTHON) tools/check_wheel.py

check-site: test-environment site ## open dist/site in headless Chromium
	@TINYINFER_TEST_SITE=dist/site $(PYTHON) -m pytest tests/test_site.py

clean: ## remove everything that was built, environments included
	@rm -rf $(VENV) $(VENV310) build dist tinyinfer/wasm_backend/_build web/node_modules tests/bundlers/node_modules
	@rm -rf benchmarks/.cache benchmarks/node_modules benchmarks/results
	@rm -rf .hypothesis .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

test-environment: $(VENV)/.dev $(VENV310)/.installed web/node_modules/.installed tests/bundlers/node_modules/.installed
	@tools/install_browsers.sh

$(VENV)/.made:
	@tools/make_venv.sh $(VENV)
	@touch $@

$(VENV)/.demo: pyproject.toml $(VENV)/.made
	@echo "▸ $(VENV): TinyInfer and what the demo needs"
	@$(PYTHON) $(PIP_INSTALL) --editable '.[image,serve]'
	@touch $@

$(VENV)/.dev: pyproject.toml $(VENV)/.made
	@echo "▸ $(VENV): TinyInfer, what the tests need and the linters"
	@$(PYTHON) $(PIP_INSTALL) --editable '.[test,lint]'
	@touch $(VENV)/.demo $@

$(VENV)/.bench: pyproject.toml $(VENV)/.made
	@echo "▸ $(VENV): TinyInfer and what the benchmarks need"
	@$(PYTHON) $(PIP_INSTALL) --editable '.[bench]'
	@touch $@

# Where there is no CPython 3.10 nothing is made, and the test summary says so.
$(VENV310)/.installed: pyproject.toml
	@if tools/find_python.sh 3.10 >/dev/null; then \
		tools/make_venv.sh $(VENV310) 3.10 && \
		echo "▸ $(VENV310): TinyInfer with wasmer" && \
		$(VENV310)/bin/python $(PIP_INSTALL) --editable '.[wasmer,test]' && \
		touch $@; \
	fi

%/node_modules/.installed: %/package-lock.json | $(VENV)/.made
	@$(PYTHON) tools/web_dependencies.py $*
	@touch $@
