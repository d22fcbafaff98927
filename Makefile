# The verbs of the project. Each needs only Python 3.11+, git and make: the environment and the data come by themselves.
# Every stage takes Hydra overrides: `make train model=tree model.max_depth=4` is
# `.venv/bin/deepmine train model=tree model.max_depth=4`.

PYTHON ?= python3
BIN := .venv/bin
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
export UV_COMPILE_BYTECODE := 1
export MLFLOW_SERVER_ENABLE_JOB_EXECUTION ?= false

# The overrides as the shell should see them: what make was given as variables, special characters escaped.
SPECIAL := ( ) [ ] { } < > ' " ` ; & | * ? ! ~
escape = $(if $1,$(call escape,$(wordlist 2,99,$1),$(subst $(firstword $1),\$(firstword $1),$2)),$2)
OVERRIDES = $(call escape,$(SPECIAL),$(subst $$$$,\$$,$(MAKEOVERRIDES)))

# DVC warns three times of each empty file. Those of a run are meant: a tree has no curves, a clean checkout no patch.
DVC := import logging, sys, dvc.cli; \
  logging.getLogger("dvc.output").addFilter(lambda warning: "is empty" not in warning.msg); sys.exit(dvc.cli.main())

.DEFAULT_GOAL := help
.PHONY: help setup train sweep compare ui new-data prepare contract evaluate publish configure repro test check format lock clean

help: # What there is to do
	@sed -n 's/^\([a-z-]*\):[^#]*# \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{ printf "%-17s%s\n", $$1, $$2 }'

setup: # Environment and data, if anything changed; every other verb does this first
	@sh .ci/setup $(PYTHON)

train: setup # Fit a model: prepares the data, evaluates, publishes (make train experiment=titanic_tree)
	@$(BIN)/deepmine train $(OVERRIDES)

sweep: setup # Train once for each combination (make sweep experiment=titanic_tree model.max_depth=2,4,8)
	@$(BIN)/deepmine sweep $(OVERRIDES)

compare: setup # All runs in one table for each data set
	@$(BIN)/deepmine compare $(OVERRIDES)

ui: setup # Open MLflow on http://127.0.0.1:5000 (port=5001 for another)
	@$(BIN)/deepmine ui $(OVERRIDES)

repro: setup # The whole pipeline: every experiment whose data, settings or code changed
	@$(BIN)/python -c '$(DVC)' repro

new-data: setup # Your own data, without Python (make new-data path=/somewhere/churn.csv target=churned)
	@$(BIN)/deepmine new-data $(OVERRIDES)

contract: setup # Freeze what a data set promises (make contract data=titanic)
	@$(BIN)/deepmine contract $(OVERRIDES)

prepare: setup # Only prepare a data set (make prepare data=titanic)
	@$(BIN)/deepmine prepare $(OVERRIDES)

evaluate: setup # Only evaluate a trained model again (make evaluate experiment=titanic_tree)
	@$(BIN)/deepmine evaluate $(OVERRIDES)

publish: setup # Send MLflow what it lacks, after an outage or a dvc pull
	@$(BIN)/deepmine publish $(OVERRIDES)

configure: setup # Compose all experiments, which finds mistakes in conf/
	@$(BIN)/deepmine configure $(OVERRIDES)

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
	@rm -rf .venv out/datasets out/configs out/compare out/.digests .pytest_cache .mypy_cache .ruff_cache
