# Does the order in which cells are read from disk change what a model learns, and what does each order cost?
# `snakemake --cores 8` trains every strategy and gathers table and figures under results/<run>/;
# `snakemake --report results/<run>/report.html` then binds them into a report.


# As a module this workflow leaves the default target, and how Snakemake speaks and goes on, to its caller.
is_module = not workflow.modifier.is_main_snakefile()
target_of_caller = workflow.default_target

# A configuration given with --configfile stands alone; it is not mixed with the demo's.
if not workflow.config_settings.configfiles:

    configfile: "config/config.yaml"


include: "workflow/rules/common.smk"


# From cached results only tables and figures are made.
if not cached_config:

    if ATLAS["simulate"]:

        include: "workflow/rules/simulate.smk"
    include: "workflow/rules/check.smk"
    include: "workflow/rules/plan.smk"
    include: "workflow/rules/atlas.smk"
    include: "workflow/rules/labels.smk"
    include: "workflow/rules/train.smk"
    include: "workflow/rules/diversity.smk"

    if REWRITTEN:

        include: "workflow/rules/rewrite.smk"


if config["tune"]:

    include: "workflow/rules/tune.smk"


include: "workflow/rules/compare.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/places.smk"
include: "workflow/rules/messages.smk"


report: "workflow/report/workflow.rst"


# Tables and figures alone: from cached results nothing is trained, no plate is needed.
rule figures:
    input:
        "<run>/comparison.md",
        FIGURES,
        PAGES,
    localrule: True


# Tables and figures of the whole comparison.
rule all:
    default_target: True
    input:
        "<run>/metrics.csv",
        "<run>/comparison.csv",
        rules.figures.input,
    localrule: True


if is_module:
    workflow.default_target = target_of_caller
