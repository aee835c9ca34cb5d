# Does the order in which cells are read from disk change what a model learns, and what does each order cost?
# `snakemake --cores 8` trains every strategy and gathers table, figures and report under results/<run>/.

# A configuration given with --configfile stands alone; it is not mixed with the demo's.
if not workflow.config_settings.configfiles:

    configfile: "config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/resources.smk"
include: "workflow/rules/atlas.smk"
include: "workflow/rules/labels.smk"
include: "workflow/rules/train.smk"


# Everything: the default target.
rule all:
    default_target: True
    input:
        expand(f"{RUN}/train/{{strategy}}/seed{{seed}}/metrics.json", strategy=STRATEGIES, seed=SEEDS),
