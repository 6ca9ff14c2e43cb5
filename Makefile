# One command each: make demo | test | check | bench. Each sets up its own environment, once.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
ENV    := $(CURDIR)/.venv
READY  := $(ENV)/.ready
WORKERS ?= 2

.PHONY: help env demo test thorough slow clients fuzz check format bench lock clean
.DEFAULT_GOAL := help

help:
	@echo "make demo    make the consignment project in demo/, run it, and replay two years of it"
	@echo "make test    run the tests (make thorough: the longer ones, make slow: the longest)"
	@echo "make fuzz    send a running server what no client would send"
	@echo "make clients ask a server with the clients of MLflow, KServe and Triton"
	@echo "make check   check format, lint, types, floors and docs"
	@echo "make bench   print one line of JSON for each figure"
	@echo "make format  rewrite sources to the format"
	@echo "make lock    pin the newest allowed versions again"

env: $(READY)

$(READY): requirements/dev.lock requirements/uv.lock requirements/install.sh pyproject.toml
	@requirements/install.sh "$(PYTHON)" "$(ENV)" requirements/dev.lock "$(CURDIR)"
	@$(ENV)/bin/python -m compileall -q src  # commands start sooner, also where nobody may write
	@touch $@

# Only a folder that holds a project of ours is replaced.
demo: $(READY)
	@if [ -e demo ] && [ ! -f demo/bucle.toml ]; then \
		echo "demo/ exists and is no Bucle project; move it away first" >&2; exit 2; fi
	@rm -rf demo
	@PATH="$(ENV)/bin:$$PATH" && bucle new demo --template consignment && cd demo \
		&& bucle run && bucle replay && echo "        that is demo/.bucle/reports/replay.html"

test: $(READY)
	@$(ENV)/bin/python -m pytest -q -n $(WORKERS) --dist worksteal

thorough: $(READY)
	@$(ENV)/bin/python -m pytest -q -n $(WORKERS) --dist worksteal -m "thorough and not slow"

slow: $(READY)
	@$(ENV)/bin/python -m pytest -q -n $(WORKERS) --dist worksteal -m slow

check: $(READY)
	@$(ENV)/bin/ruff format --check --quiet . || \
		{ echo "not in format; try: make format" >&2; exit 1; }
	@$(ENV)/bin/ruff check --quiet .
	@$(ENV)/bin/mypy
	@$(ENV)/bin/lint-imports --no-cache
	@$(ENV)/bin/python -m pytest -q -n 0 tests/architecture

format: $(READY)
	@$(ENV)/bin/ruff format --quiet .
	@$(ENV)/bin/ruff check --quiet --fix .

# What the server describes of itself is tried by another program, in an environment of its own.
fuzz: $(READY) .env-fuzz/.ready
	@FUZZ_EXAMPLES=$${EXAMPLES:-300} $(ENV)/bin/python -m pytest -q -n 0 -s -m "" tests/acceptance/test_serve_fuzz.py

# Clients that others made ask a server, in an environment of their own.
clients: $(READY) .env-clients/.ready
	@$(ENV)/bin/python -m pytest -q -n 0 -m clients tests/acceptance/test_clients.py

# The peers that figures are measured against live in an environment of their own.
bench: $(READY) .env-bench/.ready .env-serving/.ready .env-mlserver/.ready .env-watching/.ready
	@PATH="$(ENV)/bin:$(CURDIR)/.env-bench/bin:$$PATH" python -m bench

.env-%/.ready: requirements/%.lock requirements/uv.lock requirements/install.sh
	@requirements/install.sh "$(PYTHON)" "$(CURDIR)/.env-$*" requirements/$*.lock
	@touch $@

# The inputs are pyproject.toml's dependencies and groups; no address of an index is written.
UV_COMPILE = .env-uv/bin/uv pip compile --quiet --upgrade --generate-hashes --universal \
	--python-version 3.11 --no-header --no-emit-index-url --custom-compile-command "make lock"

lock: $(READY)
	@printf 'hatchling\neditables\n' > .env-uv/build.in
	@$(UV_COMPILE) pyproject.toml .env-uv/build.in --group dev --no-annotate \
		--output-file requirements/dev.lock
	@$(UV_COMPILE) --group bench --no-annotate --output-file requirements/bench.lock
	@$(UV_COMPILE) --group serving --no-annotate --output-file requirements/serving.lock
	@$(UV_COMPILE) --group fuzz --no-annotate --output-file requirements/fuzz.lock
	@$(UV_COMPILE) --group clients --no-annotate --output-file requirements/clients.lock
	@$(UV_COMPILE) --group mlserver --no-annotate --output-file requirements/mlserver.lock
	@$(UV_COMPILE) --group watching --no-annotate --output-file requirements/watching.lock
	@echo uv | $(UV_COMPILE) - --no-annotate --output-file requirements/uv.lock

clean:
	@rm -rf "$(ENV)" .env-* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
