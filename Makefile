# `make run` trains the embedded demo and shows what came out; `make test` tests. Both set up what they need.
# Another configuration: `make run CONFIG=config/tahoe.yaml`. Everything else is `snakemake` itself.
CORES ?= $(shell nproc)
CONFIG ?= config/config.yaml
VENV := .venv
BIN := $(VENV)/bin

# A path as one word of the shell; ~/ at its beginning is the home folder.
quoted = $(subst '~/,~/','$(subst ','\'',$(1))')

ifneq ($(words $(CURDIR)),1)
$(error Snakemake cannot start jobs in a folder with a space in its path: move the clone out of "$(CURDIR)")
endif

# The folder of the run; one line where the configuration cannot be read.
RUN = PYTHONPATH=workflow/scripts $(BIN)/python -m cellshuffle.configuration.reading $(call quoted,$(CONFIG))

# Where there are GPUs, a training each: they are not shared.
GPUS = $(shell nvidia-smi --list-gpus 2> /dev/null | grep --count GPU)

# Snakemake itself is silent; what the jobs and workflow/rules/messages.smk say is shown, its errors among it.
SNAKEMAKE = CELLSHUFFLE_SPEAKS=1 $(BIN)/snakemake --configfile $(call quoted,$(CONFIG)) --cores $(CORES) --quiet all

BENCHES := bench-loaders bench-loader bench-disk bench-training bench-scale bench-packing bench-first_epoch bench-checkpoint bench-end_to_end bench-gpu

.PHONY: run verify reference plan config docs pages test test-slurm test-examples test-faults check format env lock bench $(BENCHES)

# Run the workflow, then bind its report, in one process; $$run is then the folder of the run.
WHOLE_RUN = run="$$($(RUN))" && $(SNAKEMAKE) $(if $(filter-out 0,$(GPUS)),--resources gpu=$(GPUS)) \
	--report "$$run/report.html" --report-stylesheet workflow/report/report.css --report-after-run

run: env
	@$(WHOLE_RUN) && sed '/^## Every score/,$$d' "$$run/comparison.md" && \
	echo "table    $$run/comparison.md (every score) and comparison.csv" && \
	echo "figures  $$run/figures/" && \
	echo "report   $$run/report.html" && \
	echo "logs     $$run/logs/"

# Whether this machine reproduces the committed results of the demo, in one line.
verify: env
	@$(WHOLE_RUN) && PYTHONPATH=workflow/scripts $(BIN)/python -m cellshuffle.analysis.verification "$$run" results/reference

# Make the committed results again, from a fresh run of the demo.
reference: env
	@$(WHOLE_RUN) && PYTHONPATH=workflow/scripts $(BIN)/python -m cellshuffle.analysis.reference "$$run" results/reference $(call quoted,$(CONFIG))

# What a run will cost on this machine, before it is started; takes seconds.
plan: env
	@$(RUN) > /dev/null && $(SNAKEMAKE) -- plan

# A configuration draft for a folder of plates (h5ad, zarr, Parquet): `make config ATLAS=folder`, CONFIG=... names the file.
config: env
	@$(BIN)/python workflow/scripts/draft_config.py $(call quoted,$(or $(ATLAS),$(error say where the plates are: make config ATLAS=folder))) $(if $(filter command line,$(origin CONFIG)),$(call quoted,$(CONFIG)))

env: $(VENV)/.complete

# Python writes activate last: an environment without it was left half-made, and is made anew. Any other keeps its Python.
CREATE_VENV = PYTHON=$(call quoted,$(PYTHON)) sh envs/create_venv.sh $(VENV)

$(VENV)/.complete: requirements.txt
	@test -e $(BIN)/activate || $(CREATE_VENV)
	@echo "installing the pinned environment into $(VENV): once, a few minutes"
	$(BIN)/pip install --quiet --requirement requirements.txt
	touch $@

$(VENV)/.complete-test: $(VENV)/.complete requirements-test.txt
	$(BIN)/pip install --quiet --no-deps --requirement requirements-test.txt
	touch $@

test: $(VENV)/.complete-test
	$(BIN)/pytest -n $(CORES) --dist loadfile

# The pipeline on a real SLURM of one node, started and ended by the test; about five minutes.
test-slurm: $(VENV)/.complete-slurm
	$(BIN)/pytest tests/slurm

$(VENV)/.complete-slurm: $(VENV)/.complete requirements-slurm.txt
	$(BIN)/pip install --quiet --requirement requirements-slurm.txt
	touch $@

# The programs in examples/, with the package installed, in an environment of its own; about two minutes.
test-examples: $(VENV)-examples/.complete
	$(VENV)-examples/bin/pip install --quiet --no-deps --force-reinstall .
	$(VENV)-examples/bin/pytest --override-ini pythonpath=examples --confcutdir tests/examples tests/examples

$(VENV)-examples/.complete: $(VENV)/.complete requirements-examples.txt
	$(BIN)/python -m venv --clear $(VENV)-examples
	$(VENV)-examples/bin/pip install --quiet --requirement requirements-examples.txt
	touch $@

# The pipeline killed with SIGKILL at 20 random moments; some minutes. FAULTS=<number> draws the same moments again.
test-faults: $(VENV)/.complete-test
	FAULTS=$(or $(FAULTS),0) $(BIN)/pytest tests/workflow/test_faults.py -k twenty

# Speed and memory against what else there is, a table and a figure a question under results/bench/; some
# 30 minutes on two idle cores. One question: `make bench-loaders`. Other loaders: requirements-bench.txt.
bench: $(BENCHES)

$(BENCHES): env
	$(BIN)/python benchmarks/$(@:bench-%=%).py

check: env
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint
	PYTHONPATH=workflow/scripts $(BIN)/lint-imports --no-cache

format: env
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/snakefmt Snakefile workflow

# The documentation as a site, build/docs/index.html. A warning, such as a link that leads nowhere, ends it.
docs: pages $(VENV)-docs/.complete
	$(VENV)-docs/bin/sphinx-build --quiet --fail-on-warning --keep-going --fresh-env --conf-dir docs . build/docs
	@echo "site     build/docs/index.html"

# An environment of its own, of the same Python: the site's own packages are no part of the pipeline's lock.
$(VENV)-docs/.complete: $(VENV)/.complete requirements-docs.txt
	$(BIN)/python -m venv --clear $(VENV)-docs
	$(VENV)-docs/bin/pip install --quiet --requirement requirements-docs.txt
	touch $@

# Write the pages and pictures of the documentation that are made from code.
pages: env
	PYTHONPATH=workflow/scripts $(BIN)/python docs/describe_config.py
	PYTHONPATH=workflow/scripts $(BIN)/python docs/draw_orders.py

# Write the lock from pyproject.toml: a fresh environment, frozen, with the one PyTorch that the numbers are made with. What has wheels for the oldest Python has them for
# newer ones, but not the other way round.
lock: PYTHON = python3.11
lock:
	rm -rf $(VENV)
	@$(CREATE_VENV)
	$(BIN)/pip install --quiet torch==2.13.0 '.[workflow,development]'
	$(BIN)/pip freeze --exclude cellshuffle | sed 's/+cpu//' > requirements.txt
	touch $(VENV)/.complete
