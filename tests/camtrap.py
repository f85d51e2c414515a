"""Whether a package is one that Camtrap DP 1.0 allows."""

import json
import shutil
from pathlib import Path

import frictionless
import jsonschema
from frictionless.platform import platform

STANDARD = Path(__file__).parent / "runtime" / "sightings" / "camtrap_dp_1_0"


def camtrap_errors(package: Path) -> list[str]:
    """What frictionless and the profile find wrong, offline: their copies stand in for the web."""
    content = json.loads((package / "datapackage.json").read_text())
    profile = json.loads((STANDARD / "camtrap-dp-profile.json").read_text())
    checker = jsonschema.Draft7Validator(profile, format_checker=jsonschema.FormatChecker())
    found = [error.message for error in checker.iter_errors(content)]
    checked = package.with_name("checked")
    shutil.copytree(package, checked, dirs_exist_ok=True)
    del content["profile"]
    for resource in content["resources"]:
        resource["schema"] = Path(resource["schema"]).name
        shutil.copy(STANDARD / resource["schema"], checked)
    (checked / "datapackage.json").write_text(json.dumps(content))
    with platform.frictionless.system.use_context(trusted=True):
        report = frictionless.validate(checked / "datapackage.json")
    return found + [error[-1] for error in report.flatten(["title", "message"])]
