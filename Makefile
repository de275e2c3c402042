# Every command of Clipstream. A bare `make` lists them.
# Needs GNU make and Python 3.11 or later; the rest is set up in .venv (and ffmpeg, where there is none).

MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-thorough check up start stop chaos fuzz fuzz-api bench bench-cutting bench-sources bench-subtitles bench-http bench-pipeline bench-growth bench-system scaling dashboards lock literals configuration metrics-page clean

PYTHON ?= python3
# By the shell: make's own functions part a path at its spaces.
ROOT := $(shell cd "$$(dirname "$(strip $(MAKEFILE_LIST))")" && pwd)
VENV := $(ROOT)/.venv
VENV_PYTHON := "$(VENV)/bin/python"
# Recipes end in exec: Ctrl-C and SIGTERM reach the program itself, not a shell around it.
IN_ROOT := @cd "$(ROOT)" && export PATH="$(VENV)/bin:$$PATH" &&

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' "$(ROOT)/Makefile"

setup: ## Make .venv from the locked packages, and find or install ffmpeg (the others do it by themselves)
	@cd "$(ROOT)"; \
	for python in "$(PYTHON)" python3.13 python3.12 python3.11; do \
	  if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then exec "$$python" tools/setup.py; fi; \
	done; \
	"$(PYTHON)" tools/setup.py || { echo "make needs Python 3.11 or later: make PYTHON=/path/to/python3" >&2; exit 1; }

demo: setup ## Cut a real clip with real subtitles, from nothing, and leave the files in out/
	$(IN_ROOT) exec $(VENV_PYTHON) -m tools.stack run -- $(VENV_PYTHON) -m tools.demo

test: setup ## Run the tests, on real servers (ARGS="-k name" for some)
	$(IN_ROOT) exec $(VENV_PYTHON) -m pytest --numprocesses 2 --dist loadfile $(ARGS)

test-thorough: setup ## Run the tests with every case of every sweep, about three quarters of an hour (ARGS="-k name")
	$(IN_ROOT) THOROUGH=1 exec $(VENV_PYTHON) -m pytest --numprocesses 2 --dist loadfile $(ARGS)

chaos: setup ## Strike the whole system with faults and count what it cost, 45 min (ARGS="--quick --seed 7 --only soak")
	$(IN_ROOT) exec $(VENV_PYTHON) -m tests.chaos $(ARGS)

check: setup ## Lint, formatting, types, import rules
	$(IN_ROOT) ruff check . && ruff format --check . && mypy && exec lint-imports

up: setup ## Run the stack in the foreground until Ctrl-C (PORT, default 8080; state in CLIPSTREAM_HOME, default .clipstream)
	$(IN_ROOT) exec $(VENV_PYTHON) -m tools.stack up

start: setup ## Run the stack in the background; prints its address when it is ready
	$(IN_ROOT) exec $(VENV_PYTHON) -m tools.stack start

stop: setup ## Stop the stack of `make start`
	$(IN_ROOT) exec $(VENV_PYTHON) -m tools.stack stop

fuzz: setup ## Fuzz every parser of hostile bytes, FUZZ_SECONDS each (600; ARGS="movie playlists" for some)
	$(IN_ROOT) exec $(VENV_PYTHON) -m tests.fuzz $(ARGS)

fuzz-api: setup ## Send the running API 10,000 requests by schemathesis, all phases (ARGS="--cases 2000 --seed 7")
	$(IN_ROOT) exec $(VENV_PYTHON) -m tests.fuzz_api $(ARGS)

bench: setup ## Run every benchmark, one after the other, and write docs/targets.md: about two hours, on an idle machine (ARGS="--quick", --only)
	$(IN_ROOT) exec $(VENV_PYTHON) -m bench $(ARGS)

bench-cutting: setup ## Benchmark the cutting (ARGS="--quick" for a short look)
	$(IN_ROOT) exec $(VENV_PYTHON) -m bench.cutting $(ARGS)

bench-sources: setup ## Benchmark the fetching of sources by URL (ARGS="--quick" for a short look)
	$(IN_ROOT) exec $(VENV_PYTHON) -m bench.fetching $(ARGS)

bench-subtitles: setup ## Benchmark the cues: rules broken and time, beside the greedy algorithm (ARGS="--quick" for a short look)
	$(IN_ROOT) exec $(VENV_PYTHON) -m bench.subtitles $(ARGS)

bench-http: setup ## Benchmark the API: requests a second, p99 and CPU beside the same queries without it (ARGS="--quick" for a short look)
	$(IN_ROOT) exec $(VENV_PYTHON) -m bench.http $(ARGS)

bench-pipeline: setup ## Benchmark the stage runner without work: latency and jobs a second, beside pg-boss (ARGS="--quick" for a short look)
	$(IN_ROOT) exec $(VENV_PYTHON) -m bench.pipeline $(ARGS)

bench-retention: setup ## Benchmark the clean-up of 200,000 expired jobs, beside a plain DELETE of their rows (ARGS="--quick" for a short look)
	$(IN_ROOT) exec $(VENV_PYTHON) -m bench.retention $(ARGS)

bench-growth: setup ## Benchmark each call as the event table and the queues grow, to 10 million events (ARGS="--quick" for a short look)
	$(IN_ROOT) exec $(VENV_PYTHON) -m bench.growth $(ARGS)

bench-system: setup ## Benchmark the whole system: 20 jobs at once, burned subtitles, memory, readiness, the demo (ARGS="--quick" for a short look; --cold)
	$(IN_ROOT) exec $(VENV_PYTHON) -m bench.system $(ARGS)

scaling: setup ## Write the tables of docs/scaling.md anew: the capacity model, and bursts on the simulated autoscaler
	$(IN_ROOT) exec $(VENV_PYTHON) -m bench.scaling $(ARGS)

dashboards: setup ## Record a run of the whole stack with a real Prometheus, and draw the dashboards into out/dashboards (ARGS="--seconds 60")
	$(IN_ROOT) exec $(VENV_PYTHON) -m bench.dashboards $(ARGS)

lock: setup ## Write requirements/*.txt anew from pyproject.toml
	$(IN_ROOT) exec $(VENV_PYTHON) -m tools.lock

literals: setup ## Write services/resolver/fetch/url_literals.json anew, for the yt-dlp that is installed
	$(IN_ROOT) exec $(VENV_PYTHON) -m tools.url_literals

configuration: setup ## Write docs/configuration.md anew from the settings in the code
	$(IN_ROOT) exec $(VENV_PYTHON) -m tools.configuration

metrics-page: setup ## Write docs/metrics.md anew from the metrics in the code
	$(IN_ROOT) exec $(VENV_PYTHON) -m tools.metrics_page

clean: ## Delete everything that was made here: .venv, .clipstream, out, caches (stop the stack first)
	@cd "$(ROOT)" && rm -rf .venv .venv.lock .venv-tools .venv-fuzz .venv-deploy .fuzz .clipstream out bench/.cache bench/results .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis && \
	find libs services clients tools tests bench -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
