"""What a dry run of the whole Tahoe-100M says of its jobs; the plates are holes of the right size."""

import os
import re

import yaml
from runs import REPOSITORY

PLATE_BYTES = 314 * 10**9 // 14


def write_placeholders(folder):
    """Files of config/tahoe.yaml in `folder`, of the published size and with no bytes."""
    atlas = yaml.safe_load((REPOSITORY / "config/tahoe.yaml").read_text())["atlas"]
    data = folder / atlas["dir"]
    data.mkdir(parents=True)
    for plate in range(1, 15):
        path = data / atlas["plate_file"].format(plate=plate)
        path.touch()
        os.truncate(path, PLATE_BYTES)
    (data / "drug_metadata.parquet").touch()


def jobs_of(output):
    """{rule: [{resource: value} of every job]} of what `snakemake --dry-run --nocolor` printed."""
    jobs = {}
    for block in re.split(r"\n\s*(?=(?:local)?rule \w+:\n)", output):
        rule = re.match(r"(?:local)?rule (\w+):", block)
        resources = re.search(r"resources: (.*)", block)
        if rule and resources:
            pairs = dict(item.split("=", 1) for item in resources[1].split(", ") if "=" in item)
            pairs["threads"] = (re.search(r"threads: (\d+)", block) or [0, "1"])[1]
            jobs.setdefault(rule[1], []).append(pairs)
    return jobs
