# Only Python >= 3.11, git and make are assumed. CPU only: make run TORCH_INDEX=<address of PyTorch's CPU index>
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TORCH_INDEX ?=

.PHONY: run test shared alone test-all thorough thorough-shared thorough-alone long faults check catalog bench preflight clean

run: $(VENV)/.installed
	$(BIN)/condenser dashboard

ALONE := $(shell grep -rl "mark\.alone" tests --include="test_*.py")
# On both cores: a file stays on one of them.
SHARED := -n 2 --dist loadfile --no-loadscope-reorder

# Most tests share the cores; those that look at a page's speed then have the machine to themselves.
test: shared alone

shared: $(VENV)/.developing
	$(BIN)/python -m pytest $(SHARED) -m "not slow and not faults and not alone and not thorough" tests

alone: $(VENV)/.developing
	$(BIN)/python -m pytest -m "alone and not slow and not faults and not thorough" $(ALONE)

# The rest of the tests too; under an hour on two cores.
test-all: test thorough long

# Seconds each, and many: they decide like the default ones, but make test stays under ten minutes.
thorough: thorough-shared thorough-alone

thorough-shared: $(VENV)/.developing
	$(BIN)/python -m pytest $(SHARED) -m "thorough and not slow and not faults and not alone" tests

thorough-alone: $(VENV)/.developing
	$(BIN)/python -m pytest -m "thorough and alone and not slow and not faults" $(ALONE)

long: $(VENV)/.developing
	$(BIN)/python -m pytest $(SHARED) -m "slow and not alone" tests
	$(BIN)/python -m pytest -m "slow and alone" $(ALONE)

# The campaigns at full length: kills, full disks, flipped bytes, hostile input. Under an hour on two cores.
faults: $(VENV)/.developing
	$(BIN)/python -m pytest $(SHARED) -rP -m "faults and not alone" tests
	$(BIN)/python -m pytest -s -m "faults and alone" $(ALONE)

check: $(VENV)/.developing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_walls.py
	$(BIN)/python -m core.engine.catalog_writer --check

catalog: $(VENV)/.installed
	$(BIN)/python -m core.engine.catalog_writer

# DEVICE=cuda: whole runs on the GPU, about ten minutes. N: times that each whole run is done.
DEVICE ?= cpu
N ?= 5
bench: $(VENV)/.developing
ifeq ($(DEVICE),cpu)
	$(BIN)/python -m tests.bench.speed
	$(BIN)/python -m tests.bench.threads
	$(BIN)/python -m tests.bench.live_page
	$(BIN)/python -m tests.bench.shared_class
	$(BIN)/python -m tests.bench.alone
	$(BIN)/python -m tests.bench.peers --pairs $(N)
	$(BIN)/python -m tests.bench.whole_runs --n $(N)
else
	$(BIN)/python -m tests.bench.whole_runs --device $(DEVICE) --n 1 --only demo "demo reused" "2 runs"
endif

preflight: $(VENV)/.installed
	$(BIN)/python -m core.engine.prune.preflight

clean:
	rm -rf $(VENV) build *.egg-info

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
ifneq ($(TORCH_INDEX),)
	$(BIN)/python -m pip install --quiet -c constraints.txt torch torchvision --index-url $(TORCH_INDEX)
endif
	$(BIN)/python -m pip install --quiet -c constraints.txt -e .
	touch $@

$(VENV)/.developing: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev]"
	touch $@
