MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
PYTHON := .venv/bin/python
# Extra arguments of the command behind a target, like: make demo ARGS="--sessions folder"
ARGS ?=
# Every command here starts many processes, and each would compile the project's modules again. Many images set this.
export PYTHONDONTWRITEBYTECODE :=
# numpy's algebra, of which nothing here makes use, would start a thread for each core in each of them.
export OPENBLAS_NUM_THREADS ?= 1
SOURCES := app.py api attacks benchmarks bovespa faults glue infrastructure lambda_handler load local maintenance s3_bucket_manager scrap

.PHONY: help setup demo up notebooks test lint sbom bench load attack faults dictionary lock clean

help: ## Show this list
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install what is missing: Python packages in .venv, browser and Java through apt
	@scripts/setup.sh

demo: setup ## Run the whole chain on this machine, from B3's page to rows from Athena
	@$(PYTHON) -m local demo $(ARGS)

up: setup ## Run the cloud, the B3 stand-in and the API on this machine until stopped
	@$(PYTHON) -m local up $(ARGS)

notebooks: setup ## Execute the Athena notebooks on this machine, pages and pictures into build/notebooks
	@$(PYTHON) -m local notebooks $(ARGS)

test: lint ## Run every check and every test
	$(PYTHON) -m pytest -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

lint: setup ## Run every check that needs no test
	@$(MAKE) --jobs=2 --output-sync=target --keep-going lint-types lint-security lint-template lint-style

lint-types: # takes longest, so it starts first
	$(PYTHON) -m mypy

lint-security:
	$(PYTHON) -m bandit --quiet --configfile pyproject.toml --recursive $(SOURCES)

lint-template:
	.venv/bin/cfn-lint infrastructure/template.yaml

lint-style:
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .

sbom: setup ## Write what the API is made of to build/sbom.json, from the pinned packages (CycloneDX)
	@mkdir -p build
	@.venv/bin/cyclonedx-py requirements --no-validate --output-reproducible --spec-version 1.6 --mc-type application \
		--pyproject pyproject.toml --output-file build/sbom.json requirements.txt
	@echo build/sbom.json

bench: setup ## Measure latency, throughput and memory on this machine
	@$(PYTHON) -m benchmarks $(ARGS)

load: setup ## Load the API with many callers and many sessions, and fail if calls fail, slow down or leak
	@$(PYTHON) -m load $(ARGS)

attack: setup ## Attack the API on this machine and fail if anything gets in
	@$(PYTHON) -m attacks $(ARGS)

faults: setup ## Let everything between B3 and SQL fail, one after the other, and compare the lake afterwards
	@$(PYTHON) -m faults $(ARGS)

dictionary: setup ## Write the tables of docs/data-dictionary.md from the template (ARGS=--check: compare)
	@$(PYTHON) -m infrastructure.data_dictionary $(ARGS)

lock: setup ## Pin requirements*.txt from requirements*.in, with hashes (ARGS=--upgrade: newest)
	@set -e; for name in requirements-dev requirements; do \
		$(PYTHON) -m uv pip compile --quiet --universal --generate-hashes --python-version 3.11 \
			--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" $(ARGS) \
			$$(test $$name = requirements-dev || echo --constraint requirements-dev.txt) \
			$$name.in --output-file $$name.txt; \
	done

clean: ## Remove .venv, the local cloud's data and every cache
	rm -rf .venv .local build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
