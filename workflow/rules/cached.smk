# Cached results: where results/<run>/config.yaml lies beside them, the run is drawn with that configuration, and
# the Snakefile leaves out every rule that reads cells, so that nothing can be trained by accident.
from pathlib import Path

from snakemake.utils import update_config
import yaml

CACHED = Path("results") / str(config.get("run", "demo")) / "config.yaml"
if CACHED.exists():
    config.clear()
    update_config(config, yaml.safe_load(CACHED.read_text()))
    update_config(config, dict(workflow.config_settings.config))
else:
    CACHED = None
