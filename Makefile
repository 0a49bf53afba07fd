# make demo    serve the app on this computer
# make test    run the tests             (make test ARGS="-k spec" runs some)
# make test-scale  install Ray (0.7 GB) and run the tests of clusters
# make lint    check style and format    (make format repairs)
# make bench   run a benchmark         (make bench NAME=decoding ARGS="--images 8"; without: latency)
#
# The environment is made once in $(VENV), and again when a requirements file changes.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
ARGS ?=
# files run side by side, each in one process; those of the page last
SIDE_BY_SIDE ?= -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

# Bytecode is written where it is used: compiling all of torch takes longer than installing it.
INSTALL := $(BIN)/python -m pip install --quiet --no-compile
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-scale lint format bench clean

demo: $(VENV)/.app
	$(BIN)/python app.py $(ARGS)

test-scale: $(VENV)/.scale
	VAR_SPACES_TEST_SCALE=1 $(BIN)/python -m pytest -rsR tests/scale $(ARGS)

test: $(VENV)/.dev
	$(BIN)/python -m pytest -rsR --rerun-show-tracebacks $(SIDE_BY_SIDE) $(ARGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.app
	PYTHONPATH=. $(BIN)/python benchmarks/$(or $(NAME),latency).py $(ARGS)

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis

$(VENV)/.app: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is %d.%d: say make PYTHON=python3.12" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	@echo "Making the environment $(VENV); torch is large, this takes some minutes."
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) -r requirements.txt
	@touch $@

$(VENV)/.dev: $(VENV)/.app requirements-dev.txt
	$(INSTALL) -r requirements-dev.txt
	@touch $@

$(VENV)/.scale: $(VENV)/.dev requirements-scale.txt
	$(INSTALL) -r requirements-scale.txt
	@touch $@
