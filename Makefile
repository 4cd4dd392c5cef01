# make run      start the edge in front of a small demo origin; Ctrl-C ends both
#               ports: make run HTTP=8081 HTTPS=8444 ORIGIN=9001 ADMIN=9910
# make test     lint, types, packaging, tests: what a change must pass; five minutes on two processors
# make test-quick   lint, types, and the tests that are over in a moment: for between two changes; a minute
# make test-all     the rest, after make test: other servers, other Pythons, what takes minutes; a skip is a failure
# make bench    CPU, latency and memory beside nginx and others; a short one: make bench ARGS=--quick
# make bench-hotswap   10,000 swaps of a plugin under load, and what else swaps cost; shorter with ARGS=--quick
# make bench-hostile   CPU, memory and others' waiting under hostile clients, beside nginx, HAProxy and Caddy
# make bench-instructions   is the hot path no slower? a change beside the commit before it, by counts; ARGS=--quick
# make bench-observability    what a request costs more because it is counted, remembered and traced; ARGS=--quick
# make bench-operating   what it costs those who are served that others look at the edge; ARGS=--quick
# make bench-isolation   what locked processes, permissions and signatures cost; ARGS=--quick
# make bench-rollouts   rollouts on a running edge: identical versions, planted faults, a shadow's cost; ARGS=--quick
# make bench-judge   is the judge of rollouts right, and how soon? simulated, with given seeds; a tenth: ARGS=--quick
# make demo-trust   plugins that steal, fork, eat memory and spin: each is stopped, and the events say so
# make demo-rollout   five versions take their steps, four of them bad: who serves in the end, and a page of what happened
# make audit    what an edge is made of: locked versions and hashes, a bill of materials (build/*.cdx.json), advisories
# make requirements   lock the versions and hashes of what setup.py asks for anew: requirements/*.txt
# make docs     docs/_build/index.html
# make clean    remove everything that was built, .venv included; var/ stays
#
# Needs Python >= 3.11 and make. Another Python: make test PYTHON=/usr/bin/python3.12

HTTP ?= 8080
HTTPS ?= 8443
ORIGIN ?= 9000
ADMIN ?= 9900
ARGS ?=
PYTHON ?=
VENV ?= .venv

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.DEFAULT_GOAL := help
.PHONY: help run test test-quick test-all lint types packaging trial bench bench-hotswap bench-hostile bench-instructions bench-observability bench-operating bench-isolation bench-rollouts bench-judge demo-trust demo-rollout audit requirements docs clean

help:
	@sed -n 's/^# \{0,1\}//; /^$$/q; p' Makefile

run: $(VENV)/.has-run
	@exec $(BIN)/python -m revproxy.demo.run --http $(HTTP) --https $(HTTPS) --origin $(ORIGIN) --admin $(ADMIN)

# One stage after the other even under -j: the summary of the tests is to be the last line.
test: $(VENV)/.has-test
	@$(MAKE) --no-print-directory -j3 lint types packaging
	@$(MAKE) --no-print-directory trial

test-quick: $(VENV)/.has-test
	@$(MAKE) --no-print-directory -j2 lint types
	@$(BIN)/python -m tests --quick

test-all: $(VENV)/.has-test
	@$(BIN)/python -m tests --all

lint: $(VENV)/.has-test
	@$(BIN)/python -m tests.stage lint $(BIN)/ruff check .

types: $(VENV)/.has-test
	@$(BIN)/python -m tests.stage types $(BIN)/mypy

packaging: $(VENV)/.has-test
	@$(BIN)/python -m tests.stage packaging $(BIN)/python -m tests.packaging.check

trial: $(VENV)/.has-test
	@$(BIN)/python -m tests

bench: $(VENV)/.has-bench
	$(BIN)/python -m benchmarks.edge $(ARGS)

bench-hotswap: $(VENV)/.has-run
	$(BIN)/python -m benchmarks.hotswap $(ARGS)

bench-hostile: $(VENV)/.has-bench
	$(BIN)/python -m benchmarks.hostile $(ARGS)

bench-instructions: $(VENV)/.has-run
	$(BIN)/python -m benchmarks.instructions $(ARGS)

bench-observability: $(VENV)/.has-run
	$(BIN)/python -m benchmarks.observability $(ARGS)

bench-operating: $(VENV)/.has-run
	$(BIN)/python -m benchmarks.operating $(ARGS)

bench-isolation: $(VENV)/.has-bench
	$(BIN)/python -m benchmarks.isolation $(ARGS)

bench-rollouts: $(VENV)/.has-bench
	$(BIN)/python -m benchmarks.rollouts $(ARGS)

bench-judge: $(VENV)/.has-bench
	$(BIN)/python -m benchmarks.judging $(ARGS)

demo-trust: $(VENV)/.has-run
	@exec $(BIN)/python -m revproxy.demo.trust $(ARGS)

demo-rollout: $(VENV)/.has-run
	@exec $(BIN)/python -m revproxy.demo.rollout $(ARGS)

audit: $(VENV)/.has-test $(VENV)/.has-audit
	@$(BIN)/python -m tests.packaging.audit

# For every Python and machine that an edge runs on, whichever this one is.
LOCK := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-annotate --python-version 3.11 \
    --custom-compile-command "make requirements" setup.py
requirements: $(VENV)/.has-audit
	$(LOCK) --upgrade --output-file requirements/development.txt --all-extras
	$(LOCK) --output-file requirements/runtime.txt --constraints requirements/development.txt

docs: $(VENV)/.has-docs
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs docs/_build
	@echo "docs/_build/index.html"

clean:
	rm -rf $(VENV) build dist *.egg-info docs/_build _trial_temp* .mypy_cache .ruff_cache .hypothesis .tox .coverage*
	find revproxy plugins tests twisted benchmarks \( -name __pycache__ -o -name dropin.cache \) -prune -exec rm -rf {} +

# The private environment. A stamp for each set of requirements; they are installed again when setup.py changes.
# editable_mode=compat: with setuptools' default, twistd does not find twisted/plugins.

$(VENV)/.has-run: EXTRA =
$(VENV)/.has-%: EXTRA = [$*]
$(VENV)/.has-%: $(VENV)/.made setup.py
	@echo "Installing what 'make $*' needs into $(VENV) ..."
	@$(PIP) install --config-settings editable_mode=compat --editable ".$(EXTRA)"
	@touch $@

$(VENV)/.made:
	@found=; without=; \
	for candidate in $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11 python); do \
	    "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 || continue; \
	    if "$$candidate" -c 'import ensurepip, venv' >/dev/null 2>&1; then found=$$candidate; break; fi; \
	    without=$${without:-$$candidate}; \
	done; \
	if [ -n "$$found" ]; then \
	    echo "Making $(VENV) with $$("$$found" --version) ..."; \
	    "$$found" -m venv $(VENV) && touch $@; \
	elif [ -n "$$without" ]; then \
	    echo "$$without cannot make virtual environments: its modules venv and ensurepip are missing." >&2; \
	    echo "On Debian and Ubuntu: apt install python3-venv. Or name another Python: make PYTHON=/path/to/python3" >&2; \
	    exit 1; \
	else \
	    echo "No Python >= 3.11 found$(if $(PYTHON), at $(PYTHON)). Name one: make PYTHON=/path/to/python3" >&2; \
	    exit 1; \
	fi
