# Cached results: where there is a results/<run>/config.yaml, the run is drawn with that configuration, and the
# Snakefile leaves out every rule that reads cells, so that nothing can be trained by accident.
import copy
from pathlib import Path

from snakemake.utils import update_config
import yaml

cached_config = Path("results") / str(config.get("run", "demo")) / "config.yaml"
if cached_config.exists():
    # A configuration that names this run itself must be that of the cached results: common.smk compares them.
    names_run = workflow.config_settings.configfiles or "run" not in workflow.config_settings.config
    requested_config = copy.deepcopy(dict(config)) if names_run and workflow.is_main_process else None
    config.clear()
    update_config(config, yaml.safe_load(cached_config.read_text()))
    update_config(config, dict(workflow.config_settings.config))
else:
    cached_config = None
