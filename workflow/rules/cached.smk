# Cached results: where results/<run>/config.yaml lies beside them, the run is drawn with that configuration, and
# the Snakefile leaves out every rule that reads cells, so that nothing can be trained by accident.
import copy
from pathlib import Path

from snakemake.utils import update_config
import yaml

CACHED = Path("results") / str(config.get("run", "demo")) / "config.yaml"
if CACHED.exists():
    # A configuration that has the name itself must be that of the cached results; common.smk compares.
    NAMED = workflow.config_settings.configfiles or "run" not in workflow.config_settings.config
    ASKED = copy.deepcopy(dict(config)) if NAMED and workflow.is_main_process else None
    config.clear()
    update_config(config, yaml.safe_load(CACHED.read_text()))
    update_config(config, dict(workflow.config_settings.config))
else:
    CACHED = None
