# `make demo` and `make test` do everything on a fresh clone: they make their own environment in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PYTEST := $(BIN)/python -m pytest
export PREFECT_SERVER_ANALYTICS_ENABLED := false
export DO_NOT_TRACK := 1
# Tests run two at a time, each with one thread.
export OMP_NUM_THREADS := 1
PARALLEL := -n 2 --dist loadfile

.PHONY: demo test test-services test-quick check format docs lock fuzz bench clean

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@

demo: $(READY)
	rm -rf demo
	$(BIN)/dlif simulate demo/bids --mice 4 --irreversible
	cp examples/demo.yaml demo/study.yaml
	$(BIN)/dlif run demo/study.yaml

test: $(READY)
	$(PYTEST) $(PARALLEL) -m "not ci and not platform"

# Real Slurm, S3, PostgreSQL and containers on this machine; packages of the system are installed where that is allowed.
test-services: $(READY)
	sh tests/platform/install.sh
	$(BIN)/pip install --quiet -c constraints.txt -e '.[dev,services]'
	DLIF_SERVICES=required $(PYTEST) -n 3 --dist loadfile -m platform  # services are waited for more than computed with

test-quick: $(READY)
	$(PYTEST) $(PARALLEL) -m "not slow and not service and not platform"

# Ten minutes of spoilt studies and two of spoilt files; `python -m tests.fuzz --seed 2` tries others.
fuzz: $(READY)
	$(BIN)/python -m tests.fuzz --seconds 600
	$(BIN)/python -m tests.fuzz.formats --seconds 120

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Pages that are made from the code.
docs: $(READY)
	$(BIN)/python -m dlif_core.checks.page > docs/checks.md

# Digests of all that images hold. Where the index in use serves CUDA builds of torch, as the public one does, the CPU
# build is found by UV_EXTRA_INDEX_URL or UV_FIND_LINKS.
LOCK := uv pip compile --quiet --generate-hashes --custom-compile-command "make lock" \
	--python-version 3.11 --python-platform x86_64-manylinux_2_28
lock: export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
lock: $(READY)
	$(BIN)/pip install --quiet uv
	$(BIN)/$(LOCK) docker/build.in -o docker/build.lock
	$(BIN)/$(LOCK) pyproject.toml -c constraints.txt --no-emit-package torch -o docker/requirements.lock
	env -u UV_FIND_LINKS -u UV_EXTRA_INDEX_URL $(BIN)/$(LOCK) pyproject.toml -c constraints.txt \
		-c docker/requirements.lock -o docker/requirements-gpu.lock

bench: $(READY)
	$(BIN)/python benchmarks/peers.py
	$(BIN)/python benchmarks/kinetics_speed.py
	$(BIN)/python benchmarks/two_cores.py
	$(BIN)/python benchmarks/whole_scan.py
	$(BIN)/python benchmarks/total_body.py
	$(BIN)/python benchmarks/gpu_speed.py
	$(BIN)/python benchmarks/simulated_mouse.py
	$(BIN)/python benchmarks/learned_speed.py
	$(BIN)/python benchmarks/learned_repeat.py
	$(BIN)/python benchmarks/startup.py

clean:
	rm -rf $(VENV) demo
