# `make demo`, `make test` and `make check` create .venv and install what they need.

PYTHON ?= python3
VENV ?= .venv
BIN := $(abspath $(VENV))/bin
PYTEST := $(BIN)/python -m pytest -q -n 2
PIP := $(BIN)/python -m pip --disable-pip-version-check install -q -c constraints.txt
DEMO_OUTPUT ?= results/demo
# Tests of optional parts are skipped where their extra is missing. `make test EXTRAS=$(ALL_EXTRAS)`
# runs them all. Ray is large: `make test-all` alone installs it.
EXTRAS ?= test
ALL_EXTRAS := test,tensorflow,imagenet,text,report,stats,rivals,optuna,jax,log,browser,integrations,slurm,gp

# Mutation testing, for example `make mutate MODULES=analysis/ranks.py SAMPLE=20`.
MODULES ?=
SAMPLE ?= 60

.PHONY: demo test test-ci test-all check format mutate clean print-all-extras FORCE

# The main job: ALI-G against SGD, Momentum and Adam on real handwritten digits, 5 seeds.
demo: $(VENV)/.installed
	$(BIN)/alig-deepobs compare digits_mlp --seeds 5 --output_dir $(DEMO_OUTPUT)

test: $(VENV)/.installed-test
	$(PYTEST) -m "not slow"

# What CI runs beyond `make test`: the wheel outside the checkout, two ranks, jobs and kills, one heavy
# problem. `make test-all` runs everything.
CI_SLOW := \
	tests/test_packaging.py \
	tests/runners/test_ddp.py::test_two_ranks_are_one_process \
	tests/runners/test_ddp.py::test_a_rank_that_dies_is_named_and_the_run_is_taken_up \
	tests/runners/test_clusters.py::test_jobs_give_the_same_results \
	tests/runners/test_clusters.py::test_a_job_that_dies_is_submitted_again_from_its_checkpoint \
	tests/runners/test_study.py::test_killed_at_random_moments_and_repeated \
	tests/cli/test_emit.py \
	"tests/testproblems/test_more_problems.py::test_an_epoch_on_the_twin[cifar10_3c3d]"

test-ci: $(VENV)/.installed-test
	$(PYTEST) -m slow $(CI_SLOW)

# Also the optional parts, and the tests that take more than a few seconds each. Where there is a
# pdflatex or tectonic (Debian: texlive-latex-recommended), LaTeX tables are compiled.
test-all:
	$(MAKE) EXTRAS=$(ALL_EXTRAS),ray $(VENV)/.installed-test
	$(PYTEST)

check: $(VENV)/.installed-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy -p alig_deepobs
	$(BIN)/lint-imports --no-cache --no-logo

format: $(VENV)/.installed-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

mutate:
	$(MAKE) EXTRAS=$(ALL_EXTRAS),mutate $(VENV)/.installed-test
	nice $(BIN)/python tools/mutate.py --sample $(SAMPLE) $(MODULES)

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml setup.py constraints.txt | $(VENV)/bin/python
	$(PIP) -e .
	touch $@

# The stamp holds the extras that are installed, so that asking for others installs them.
$(VENV)/.installed-test: pyproject.toml setup.py constraints.txt FORCE | $(VENV)/bin/python
	@if [ "$$(cat $@ 2>/dev/null)" != "$(EXTRAS)" ] || [ -n "$(filter-out FORCE,$?)" ]; then \
		$(PIP) -e ".[$(EXTRAS)]" && echo "$(EXTRAS)" > $@ && touch $(VENV)/.installed; \
	fi

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache

print-all-extras:
	@echo $(ALL_EXTRAS)
