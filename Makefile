# `make` lists the targets. Two virtual environments: .venv for the demo, as users have it, and
# .venv-test with everything that the tests need.

PYTHON ?= python3
# The CPU build where the index in use has one; plain torch can bring gigabytes of CUDA.
TORCH ?= torch==2.13.0
# Hundreds of tests start commands, which would compile what they import each time.
export PYTHONDONTWRITEBYTECODE :=
# On a terminal pip shows its progress bars.
PIP_FLAGS ?= --disable-pip-version-check $(shell test -t 2 || echo --quiet)

BIN := .venv/bin
TEST_BIN := .venv-test/bin
# A worker more than cores: a third of the time tests wait, for servers and for processes' ends.
WORKERS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
PYTEST = $(TEST_BIN)/python -m pytest --numprocesses $(WORKERS) --maxprocesses 5 --dist worksteal
PHOTOS := examples/photos
SHEET := demo.html

.DEFAULT_GOAL := help
.PHONY: help demo serve-demo cluster-demo shards-demo test test-fast test-slow test-nightly test-languages engines integrations coverage fuzz torture lint format typecheck docs bench bench-data bench-ingest clean check-python

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

demo: .venv/installed ## Images into a private MySQL, and similar ones back out
	@echo "==> Installing MySQL 9 for you alone, without root (66 MB, once)"
	@$(BIN)/lookalike server install
	@echo "==> Starting it"
	@$(BIN)/lookalike server start
	@echo "==> Adding the images of $(PHOTOS)"
	@$(BIN)/lookalike add $(PHOTOS)
	@echo "==> Which of them look like $(PHOTOS)/cat.jpg?"
	@$(BIN)/lookalike search $(PHOTOS)/cat.jpg -k 5 --contact-sheet $(SHEET)
	@echo "==> The command is $(BIN)/lookalike; after . $(BIN)/activate it is lookalike. On your own:"
	@echo "      $(BIN)/lookalike add ~/Pictures"
	@echo "      $(BIN)/lookalike remove $(PHOTOS)    (takes the demo's images out again)"

serve-demo: .venv/with-web ## The example photographs on a web page; Ctrl-C ends it
	@$(BIN)/lookalike server install
	@$(BIN)/lookalike server start
	@$(BIN)/lookalike add --facts $(PHOTOS)
	@$(BIN)/lookalike serve --root $(PHOTOS) $(SERVE_ARGS)

cluster-demo: .venv/installed ## Three servers, and kill -9 of one while images are added
	@$(BIN)/lookalike server install
	@$(BIN)/python -m examples.cluster.demo

shards-demo: .venv/installed ## The example photographs on four MariaDB servers, one of which is killed
	@$(BIN)/python examples/shards/demo.py

test: .venv-test/installed ## Everything that the tests need, then the tests but for the slow ones
	@$(PYTEST) -m "not slow" $(PYTEST_ARGS)

test-fast: .venv-test/installed ## The tests that need neither a server nor CLIP, a minute
	@$(PYTEST) -m "not slow and not server" --ignore tests/models/clip $(PYTEST_ARGS)

test-slow: .venv-test/installed ## Kills, histories, the examples of the main pages
	@$(PYTEST) -m "slow and not nightly" $(PYTEST_ARGS)

test-nightly: .venv-test/installed ## What CI has no time for: long histories, every page, seekdb
	@$(PYTEST) -m nightly $(PYTEST_ARGS)

test-languages: .venv-test/installed ## The examples in PHP, Java, Go, Node.js and the shell
	@$(TEST_BIN)/python -m pytest tests/e2e/test_languages.py -m slow $(PYTEST_ARGS)

engines: .venv-test/installed ## What each engine can do, on real servers, into docs/engines.md
	@$(TEST_BIN)/python -m tests.engines.table $(PYTEST_ARGS)

integrations: .venv-test/installed .venv-test/sqlalchemy-2.0 ## What works with which version, into docs/sqlalchemy.md and docs/django.md
	@$(TEST_BIN)/python -m tests.integrations.table

coverage: .venv-test/installed ## The tests but for the slow ones, and which lines they run
	@$(PYTEST) -m "not slow" --cov --cov-report term:skip-covered $(PYTEST_ARGS)

fuzz: .venv-test/installed ## Add 5,000 mutated images, and account for each (FUZZ_ARGS="--seed 1")
	@$(TEST_BIN)/python -m tests.fuzz $(FUZZ_ARGS)

torture: .venv-test/installed ## Ten minutes of kills, odd servers and numpy (TORTURE_ARGS="--minutes 60")
	@$(TEST_BIN)/python -m tests.torture $(TORTURE_ARGS)

lint: .venv-test/installed ## Check style and formatting
	@$(TEST_BIN)/ruff check .
	@$(TEST_BIN)/ruff format --check .

format: .venv-test/installed ## Format, and mend what can be mended
	@$(TEST_BIN)/ruff check --fix .
	@$(TEST_BIN)/ruff format .

typecheck: .venv-test/installed ## mypy --strict
	@$(TEST_BIN)/mypy

docs: .venv-test/installed ## Write docs/cli.md and docs/openapi.json
	@$(TEST_BIN)/python docs/generate_cli.py
	@$(TEST_BIN)/python docs/generate_openapi.py

bench-data: .venv-test/installed ## Make the benchmark's data, once (ten minutes)
	@$(TEST_BIN)/python -m benchmarks.data

bench: bench-data ## Measure: SQL, memory, MariaDB (BENCH_ARGS="--large --mariadb" or "--huge")
	@$(TEST_BIN)/python -m benchmarks.sql_functions
	@$(TEST_BIN)/python -m benchmarks.index $(BENCH_ARGS)

bench-ingest: .venv-test/installed ## Measure: adding images (INGEST_ARGS="--model NAME --device cuda")
	@$(TEST_BIN)/python -m benchmarks.ingest $(INGEST_ARGS)
	@$(TEST_BIN)/python -m benchmarks.ingest --model clip --megapixels 3 $(INGEST_ARGS)

clean: ## Remove the environments and the tests' MySQL; your data stay
	@if [ -x $(TEST_BIN)/lookalike ]; then LOOKALIKE_HOME=$(CURDIR)/.test-home $(TEST_BIN)/lookalike server stop --quiet || true; fi
	rm -rf .venv .venv-test .venv-mysql-ai .test-home

.venv/installed: pyproject.toml | check-python
	@echo "==> Making a virtual environment and installing lookalike in it (half a minute, once)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install $(PIP_FLAGS) --editable .
	@touch $@

.venv/with-web: .venv/installed
	@echo "==> Installing what the web page needs"
	@$(BIN)/python -m pip install $(PIP_FLAGS) --editable ".[web]"
	@touch $@

# torch first: then nothing else brings another build of it in. pip 25.1 is the first that installs
# dependency groups.
.venv-test/installed: pyproject.toml | check-python
	@echo "==> Making a virtual environment for the tests (a minute or two, once)"
	@$(PYTHON) -m venv .venv-test
	@$(TEST_BIN)/python -m pip install $(PIP_FLAGS) --upgrade "pip>=25.1"
	@$(TEST_BIN)/python -m pip install $(PIP_FLAGS) "$(TORCH)"
	@$(TEST_BIN)/python -m pip install $(PIP_FLAGS) --group dev \
		--editable ".[clip,django,langchain,llama-index,pandas,parquet,raw,ray,remote,seekdb,sqlalchemy,watch,web]" "$(TORCH)"
	@touch $@

# Beside the newest one; mysqlclient where what it is built with is installed.
.venv-test/sqlalchemy-2.0: | .venv-test/installed
	@$(TEST_BIN)/python -m pip install $(PIP_FLAGS) --no-deps --target $@ "sqlalchemy==2.0.*"
	@$(TEST_BIN)/python -m pip install $(PIP_FLAGS) mysqlclient || echo "==> Going on without mysqlclient"

# The vector store of Oracle's client: its packages want older ones than ours.
.venv-mysql-ai/installed: Makefile | check-python
	@echo "==> Making a virtual environment with Oracle's mysql.ai (20 seconds, once)"
	@$(PYTHON) -m venv .venv-mysql-ai
	@.venv-mysql-ai/bin/python -m pip install $(PIP_FLAGS) --no-compile \
		"mysql-connector-python==26.10.*" langchain "pandas>=2.3.3" "pydantic<2.10"
	@touch $@

check-python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo "lookalike needs Python 3.11 or newer: make PYTHON=/path/to/python3 ..."; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
		{ echo "Python's venv is missing: install it (on Debian: apt install python3-venv)"; exit 1; }
