PYTHON ?= python3
BIN := .venv/bin
INSTALL := -m pip install --quiet --disable-pip-version-check
PIP := $(BIN)/python $(INSTALL)
# A package whose SHA-256 is not in the list is refused, and so is one that is not in it at all.
LOCKED := --no-deps --require-hashes
# Two stamps in one environment: what the service needs, and what its tests and benchmarks need on top.
SERVICE := .venv/.service
DEV := .venv/.dev
# An environment of its own for what makes the lists and examines them.
TOOLS := .venv/tools
COMPILE = $(TOOLS)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --no-annotate --no-emit-package torch --override $(TOOLS)/torch.txt --custom-compile-command 'make lock' $(UPGRADE)
TORCH := torch==2.13.0
# A process per core with one thread each: two that both want all cores would mostly wait for each other.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile
FAST := -m "not slow and not soak" --ignore tests/browser --ignore tests/packaging --ignore tests/examples --ignore tests/client/test_trl.py --ignore tests/reward_bases/test_train_tune.py

.PHONY: install run check test soak lint demo bench basis browser lock sbom audit

install: $(DEV)

# torch alone has no hash in the lists: an index offers the build that fits the machine, and each has another one.
$(SERVICE): pyproject.toml requirements.txt
	$(PYTHON) -m venv .venv
	$(PIP) $(LOCKED) -r requirements.txt
	$(PIP) $(TORCH)
	$(PIP) --no-deps --no-build-isolation -e .
	touch $(SERVICE)

$(DEV): $(SERVICE) requirements-dev.txt
	$(PIP) $(LOCKED) -r requirements-dev.txt
	touch $(DEV)

run: $(SERVICE)
	$(BIN)/keel serve

demo: $(SERVICE)
	$(BIN)/keel demo

bench: $(DEV)
	$(BIN)/keel bench

browser:
	sh tests/browser/install.sh

# Before every commit: four to six minutes on two cores.
check: lint
	$(PYTEST) -q $(FAST)

# Everything but the soak tests. Counting lines makes a test half as long again, so the fast tests alone are counted.
test: $(DEV) browser
	$(PYTEST) $(FAST) --cov
	$(PYTEST) -m "slow and not soak"

soak: $(DEV)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m soak

lint: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Rebuilds reward_bases/default; needs the preference data named in docs/basis.md.
basis: $(DEV)
	$(PIP) $(LOCKED) -r requirements-basis.txt
	$(BIN)/python -m reward_bases.make_default --data $(DATA)

$(TOOLS): requirements-tools.txt
	$(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/python $(INSTALL) $(LOCKED) -r requirements-tools.txt
	echo "$(TORCH) ; sys_platform == 'never'" > $(TOOLS)/torch.txt
	touch $(TOOLS)

# Exact versions and hashes of everything, for Python 3.11 and later, on every platform. `make lock UPGRADE=--upgrade`
# takes the newest versions that pyproject.toml allows.
lock: $(TOOLS)
	$(COMPILE) pyproject.toml --group torch --extra service --output-file requirements.txt
	$(COMPILE) pyproject.toml --group torch --all-extras --constraint requirements.txt --output-file requirements-dev.txt
	$(COMPILE) pyproject.toml --extra otel --constraint requirements-dev.txt --output-file requirements-otel.txt
	$(COMPILE) --group basis --no-deps --output-file requirements-basis.txt
	$(COMPILE) --group tools --output-file requirements-tools.txt

# What is installed, as CycloneDX.
sbom: $(SERVICE) $(TOOLS)
	mkdir -p dist
	$(TOOLS)/bin/cyclonedx-py environment .venv/bin/python --pyproject pyproject.toml --output-reproducible \
	  --output-file dist/keel.cdx.json

# Known vulnerabilities: ends with 0 if there are none, 1 if there are, 3 if nobody could say.
audit: $(TOOLS)
	$(TOOLS)/bin/python deploy/vulnerabilities.py $(TOOLS)/bin/pip-audit '$(TORCH)' requirements*.txt
