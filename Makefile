# Everything here sets up what it needs: a fresh machine with Python (3.11+) and make is enough.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
ORACLE ?= .venv-oracle
TRAINERS ?= .venv-trainers
BROWSER ?= .venv-browser
SITE    ?= .venv-site

.DEFAULT_GOAL := help
.PHONY: help demo proof test test-oracle test-trainers test-browser check bench evidence format docs configs figures screenshot site clean

help: ## show the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

demo: $(READY) ## fit the shipped sweep, plan, check; shows each result
	@PATH="$(CURDIR)/$(BIN):$$PATH" sh docs/demo.sh

proof: $(ORACLE)/.ready ## train proxies, plan a run of 8x their compute, train it and compare (10 minutes)
	$(ORACLE)/bin/python -m examples.proxies.reduced proof-out

test: $(READY) ## run the tests
	$(BIN)/python -m pytest

check: $(READY) ## what CI runs: format, lint, types, docs freshness, tests, configs
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m ruff check .
	$(BIN)/python -m mypy
	$(BIN)/python docs/generate.py --check
	$(BIN)/python configs/generate.py --check
	$(BIN)/python -m pytest
	$(BIN)/hptransfer check configs

format: $(READY) ## format and fix what can be fixed
	$(BIN)/python -m ruff format .
	$(BIN)/python -m ruff check --fix .

configs: $(READY) ## rewrite configs/: plans for the sizes that are trained, one of them in every format
	$(BIN)/python configs/generate.py

docs: $(READY) ## rewrite the generated pages
	$(BIN)/python docs/generate.py

figures: $(READY) ## redraw the figures of the concept pages from the shipped sweep
	$(BIN)/python docs/figures.py

screenshot: $(BROWSER)/.ready ## take the README's picture of the report again; needs chromium
	$(BROWSER)/bin/python docs/screenshot.py

$(SITE)/.ready: pyproject.toml
	$(PYTHON) -m venv $(SITE)
	$(SITE)/bin/python -m pip install --quiet --disable-pip-version-check -e '.[docs]'
	@touch $@

site: $(SITE)/.ready ## build the documentation as a site, in site/; a broken link fails
	NO_MKDOCS_2_WARNING=1 $(SITE)/bin/mkdocs build --strict

$(ORACLE)/.ready: pyproject.toml
	$(PYTHON) -m venv $(ORACLE)
	$(ORACLE)/bin/python -m pip install --quiet --disable-pip-version-check -e '.[dev]' pandas \
		torch==2.13.0 transformers xmlschema
	$(ORACLE)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps mup==1.0.0
	$(ORACLE)/bin/python -m pip download --quiet --disable-pip-version-check --no-deps --no-binary pytest \
		-d $(ORACLE) pytest==9.2.0
	tar -xzf $(ORACLE)/pytest-9.2.0.tar.gz -C $(ORACLE) --strip-components=3 \
		pytest-9.2.0/testing/example_scripts/junit-10.xsd
	@touch $@

test-oracle: $(ORACLE)/.ready ## compare with torch, transformers, mup and JUnit's XSD, in an environment of their own
	$(ORACLE)/bin/python -m pytest -m oracle

# litgpt pins an older hub than transformers, torchtitan wants wandb: both run without.
$(TRAINERS)/.ready: pyproject.toml
	$(PYTHON) -m venv $(TRAINERS)
	$(TRAINERS)/bin/python -m pip install --quiet --disable-pip-version-check -e '.[dev]' \
		torch==2.13.0 transformers==5.23.0 accelerate==1.15.0 ai2-olmo-core==3.0.0 lightning==2.6.6 \
		'jsonargparse[signatures]==4.53.0' requests tyro==1.0.17 spmd_types==0.2.3 torch_checkpointing \
		'datasets<4.8' torchdata einops optax==0.2.8 hjson py-cpuinfo msgpack psutil setuptools wheel
	$(TRAINERS)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps litgpt==0.5.13 torchtitan==0.3.0
	DS_BUILD_OPS=0 $(TRAINERS)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
		--no-build-isolation deepspeed==0.19.8
	$(TRAINERS)/bin/python -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
		--python-version 3.12 --platform manylinux_2_28_x86_64 -d $(TRAINERS) \
		megatron-core==0.19.2 axolotl==0.21.0 llamafactory==0.9.5 torchtitan==0.2.2 nanotron==0.4 levanter==1.2.dev1644
	for wheel in $(TRAINERS)/*.whl; do $(TRAINERS)/bin/python -m zipfile -e $$wheel $(TRAINERS)/wheels || exit 1; done
	@touch $@

test-trainers: $(TRAINERS)/.ready ## run trainers' own parsers and schedulers on what we write
	TRAINER_WHEELS=$(TRAINERS)/wheels $(TRAINERS)/bin/python -m pytest -m trainers -W default tests/trainers/conformance

$(BROWSER)/.ready: pyproject.toml
	$(PYTHON) -m venv $(BROWSER)
	$(BROWSER)/bin/python -m pip install --quiet --disable-pip-version-check -e '.[dev]' playwright
	@touch $@

test-browser: $(BROWSER)/.ready ## open the report in chromium, which has to be installed (apt-get install chromium)
	$(BROWSER)/bin/python -m pytest -m browser tests/browser

bench: $(READY) ## benchmarks; read the ratios, not the seconds
	@for script in $$(find benchmarks -name 'bench_*.py' | sort); do echo "== $$script"; $(BIN)/python $$script || exit 1; done

evidence: $(READY) ## rerun every figure that was asked for and print one table
	$(BIN)/python benchmarks/evidence.py

clean: ## remove what make made
	rm -rf $(VENV) $(ORACLE) $(TRAINERS) $(BROWSER) $(SITE) site demo-out proof-out .pytest_cache .ruff_cache .mypy_cache .hypothesis
