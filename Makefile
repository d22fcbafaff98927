# The verbs of the project. Each needs only Python 3.11+, git and make: the environment and the data come by themselves.
# Every stage takes Hydra overrides: `make train model=tree model.max_depth=4` is
# `.venv/bin/deepmine train model=tree model.max_depth=4`.

PYTHON ?= python3
BIN := .venv/bin
DO = $(BIN)/deepmine $@ $(OVERRIDES)
TAKE_OVER = $(BIN)/python -m takeover $@ $(OVERRIDES)
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
export UV_COMPILE_BYTECODE := 1

# The overrides as the shell should see them: what make was given as variables, special characters escaped.
SPECIAL := ( ) [ ] { } < > ' " ` ; & | * ? ! ~
escape = $(if $1,$(call escape,$(wordlist 2,99,$1),$(subst $(firstword $1),\$(firstword $1),$2)),$2)
OVERRIDES = $(call escape,$(SPECIAL),$(subst $$$$,\$$,$(MAKEOVERRIDES)))

# DVC warns three times of each empty file. Those of a run are meant: a tree has no curves, a clean checkout no patch.
DVC := import logging, sys, dvc.cli; \
  logging.getLogger("dvc.output").addFilter(lambda warning: "is empty" not in warning.msg); sys.exit(dvc.cli.main())

.DEFAULT_GOAL := help
.PHONY: help setup train sweep compare ui new-data prepare contract evaluate publish doctor reproduce why configure repro
.PHONY: predict rename remove new-project update test check format lock clean

help: # What there is to do
	@sed -n 's/^\([a-z-]*\):[^#]*# \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{ printf "%-20s%s\n", $$1, $$2 }'

setup: # Environment and data, if anything changed; every other verb does this first
	@sh .ci/setup $(PYTHON)

train: setup # Fit a model: prepares the data, evaluates, publishes (make train model=tree)
	@$(DO)

sweep: setup # Train once for each combination (make sweep model=tree model.max_depth=2,4,8)
	@$(DO)

compare: setup # All runs in one table for each data set
	@$(DO)

ui: setup # Open MLflow on http://127.0.0.1:5000 (port=5001 for another)
	@$(DO)

repro: setup # The whole pipeline: every experiment whose data, settings or code changed
	@mkdir -p out/runs && $(BIN)/python -c '$(DVC)' repro

new-data: setup # Your own data, without Python (make new-data path=/somewhere/churn.csv target=churned)
	@$(DO)

contract: setup # Freeze what a data set promises (make contract data=churn)
	@$(DO)

prepare: setup # Only prepare a data set (make prepare data=churn)
	@$(DO)

evaluate: setup # Only evaluate a trained model again (make evaluate experiment=churn_tree)
	@$(DO)

predict: setup # Predict new rows (make predict run=out/runs/titanic_tree input=new.csv output=scored.csv)
	@$(DO)

publish: setup # Send MLflow what it lacks, after an outage or a dvc pull
	@$(DO)

doctor: setup # Are all runs whole, told truly, and in MLflow? (make doctor mend=true mends them)
	@$(DO)

reproduce: setup # Build a run again from its record, and compare every score (make reproduce run=out/runs/titanic_tree)
	@$(DO)

why: setup # Which difference between two runs did it? (make why a=out/runs/titanic_tree b=out/runs/titanic_forest)
	@$(DO)

configure: setup # Compose all experiments, which finds mistakes in conf/
	@$(DO)

new-project: setup # Begin: your name, the starter sets you keep, no runs (make new-project name=acme_churn keep=titanic)
	@$(TAKE_OVER)

rename: setup # Another name for the project, everywhere (make rename name=acme_churn)
	@$(TAKE_OVER)

remove: setup # Take a data set out, or an experiment=... or a model=... (make remove data=penguins)
	@$(TAKE_OVER)

update: setup # Merge a later version of the template into the project, from the git remote `template`
	@$(TAKE_OVER)

test: setup # The quick tests (make test slow=true for all)
	@$(BIN)/python -m pytest -n auto --dist $(if $(filter true,$(slow)),loadfile -m '',worksteal)

check: setup # Format, lint, types, and imports in one direction
	@$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy && $(BIN)/lint-imports --no-logo --no-cache

format: setup # Put the code in shape
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

# torch is pinned in pyproject.toml: its CPU and CUDA builds have other hashes than the one on the index
lock: setup # Bring constraints.txt to the newest versions that pyproject.toml allows, at least a week old
	@env -u UV_FIND_LINKS -u UV_TORCH_BACKEND $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 \
	  --generate-hashes --no-emit-package torch --no-annotate --no-header --all-extras pyproject.toml -o constraints.txt

clean: # Remove what the stages wrote, and the environment; data, records in git and the tracker stay
	@rm -rf .venv out/datasets out/configs out/compare .pytest_cache .mypy_cache .ruff_cache
