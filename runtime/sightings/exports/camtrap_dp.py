"""Camtrap DP 1.0, the exchange format of camera traps, for GBIF and ecologists.

A folder: ``datapackage.json``, a table each of deployments, media and observations, and the
pictures. J. Bubnicki et al., "Camtrap DP: an open standard for the FAIR exchange and archiving of
camera trap data", Remote Sensing in Ecology and Conservation 2024; https://camtrap-dp.tdwg.org.
"""

import csv
import json
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from ...errors import StoreError
from .. import Sighting
from . import Site, camera_name

_STANDARD = "https://raw.githubusercontent.com/tdwg/camtrap-dp/1.0"

_COLUMNS = {
    "deployments": (
        "deploymentID", "locationID", "locationName", "latitude", "longitude",
        "coordinateUncertainty", "deploymentStart", "deploymentEnd", "setupBy", "cameraID",
        "cameraModel", "cameraDelay", "cameraHeight", "cameraDepth", "cameraTilt",
        "cameraHeading", "detectionDistance", "timestampIssues", "baitUse", "featureType",
        "habitat", "deploymentGroups", "deploymentTags", "deploymentComments",
    ),
    "media": (
        "mediaID", "deploymentID", "captureMethod", "timestamp", "filePath", "filePublic",
        "fileName", "fileMediatype", "exifData", "favorite", "mediaComments",
    ),
    "observations": (
        "observationID", "deploymentID", "mediaID", "eventID", "eventStart", "eventEnd",
        "observationLevel", "observationType", "cameraSetupType", "scientificName", "count",
        "lifeStage", "sex", "behavior", "individualID", "individualPositionRadius",
        "individualPositionAngle", "individualSpeed", "bboxX", "bboxY", "bboxWidth", "bboxHeight",
        "classificationMethod", "classifiedBy", "classificationTimestamp",
        "classificationProbability", "observationTags", "observationComments",
    ),
}  # fmt: skip
"""All of them, in the standard's order, for validators compare them one by one."""


def export(sightings: Sequence[Sighting], site: Site, store: Path, out: Path) -> None:
    """Write the package into a folder; see `Export`.

    Raises:
        StoreError: the site's place on Earth is not known, or nothing was seen.
    """
    if site.latitude is None or site.longitude is None:
        raise StoreError("Camtrap DP asks where the camera stands: --latitude and --longitude")
    if not sightings:
        raise StoreError("there are no such sightings, and no package without any")
    out.mkdir()
    _write(out, "deployments", _deployments(sightings, site))
    _write(out, "media", _media(sightings, store, out))
    _write(out, "observations", map(_observation, sightings))
    package = json.dumps(_package(sightings, site), indent=2, ensure_ascii=False)
    (out / "datapackage.json").write_text(package + "\n", encoding="utf-8")


def _write(folder: Path, table: str, rows: Iterable[Mapping[str, Any]]) -> None:
    with (folder / f"{table}.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, _COLUMNS[table])
        writer.writeheader()
        writer.writerows(rows)


def _deployments(sightings: Sequence[Sighting], site: Site) -> Iterable[dict[str, Any]]:
    """One for each camera, for as long as it is known to have watched."""
    for source in dict.fromkeys(sighting.source for sighting in sightings):
        visits = [sighting for sighting in sightings if sighting.source == source]
        yield {
            "deploymentID": _deployment(source),
            "locationName": site.name,
            "latitude": site.latitude,
            "longitude": site.longitude,
            "deploymentStart": _time(min(visit.start for visit in visits)),
            "deploymentEnd": _time(max(visit.end for visit in visits)),
            "cameraID": camera_name(source),
        }


def _media(sightings: Sequence[Sighting], store: Path, out: Path) -> Iterable[dict[str, Any]]:
    for sighting in sightings:
        if sighting.picture is None or not (store / sighting.picture).is_file():
            continue
        path = Path("media") / f"{sighting.start:%Y%m%d}-{Path(sighting.picture).name}"
        (out / path).parent.mkdir(exist_ok=True)
        shutil.copyfile(store / sighting.picture, out / path)
        yield {
            "mediaID": sighting.id,
            "deploymentID": _deployment(sighting.source),
            "captureMethod": "activityDetection",
            "timestamp": _time(sighting.pictured_at),
            "filePath": path.as_posix(),
            "filePublic": "false",
            "fileName": path.name,
            "fileMediatype": "image/jpeg",
            "favorite": str(sighting.favourite).lower(),
        }


def _observation(sighting: Sighting) -> dict[str, Any]:
    """An event, for it is all of a visit that was named."""
    name = _taxon(sighting)
    row = {
        "observationID": sighting.id,
        "deploymentID": _deployment(sighting.source),
        "eventID": sighting.id,
        "eventStart": _time(sighting.start),
        "eventEnd": _time(sighting.end),
        "observationLevel": "event",
        "observationType": "animal" if name else "unknown",
        "scientificName": name,
        "count": 1 if name else "",
    }
    if sighting.correction is not None:
        if sighting.correction.scientific_name is None:
            row["observationType"] = "blank"
        said = sighting.answer.name if sighting.answer else "unknown"
        return row | {
            "classificationMethod": "human",
            "classificationTimestamp": _time(sighting.correction.corrected_at),
            "observationComments": f"{sighting.model_id} said: {said}",
        }
    return row | {
        "classificationMethod": "machine",
        "classifiedBy": f"birdedge, {sighting.model_id}",
        "classificationTimestamp": _time(sighting.end),
        "classificationProbability": sighting.answer.probability if sighting.answer else "",
    }


def _package(sightings: Sequence[Sighting], site: Site) -> dict[str, Any]:
    return {
        "profile": f"{_STANDARD}/camtrap-dp-profile.json",
        "name": "birdedge-sightings",
        "id": str(uuid4()),
        "created": _time(datetime.now(UTC)),
        "title": f"Birds at {site.name}",
        "contributors": [{"title": "birdedge", "role": "contributor"}],
        "project": {
            "title": f"Birds at {site.name}",
            "samplingDesign": "opportunistic",
            "captureMethod": ["activityDetection"],
            "individualAnimals": False,
            "observationLevel": ["event"],
        },
        "spatial": {"type": "Point", "coordinates": [site.longitude, site.latitude]},
        "temporal": {
            "start": f"{min(sighting.start for sighting in sightings):%Y-%m-%d}",
            "end": f"{max(sighting.end for sighting in sightings):%Y-%m-%d}",
        },
        "taxonomic": _taxonomic(sightings),
        "resources": [
            {
                "name": table,
                "path": f"{table}.csv",
                "profile": "tabular-data-resource",
                "schema": f"{_STANDARD}/{table}-table-schema.json",
            }
            for table in _COLUMNS
        ],
    }


def _taxonomic(sightings: Sequence[Sighting]) -> list[dict[str, Any]]:
    taxa: dict[str, dict[str, Any]] = {}
    for sighting in sightings:
        name = _taxon(sighting)
        if not name or name in taxa:
            continue
        species = " " in name
        taxa[name] = {"scientificName": name, "kingdom": "Animalia", "class": "Aves"}
        if species:
            taxa[name]["taxonRank"] = "species"
        elif name.endswith("idae"):
            taxa[name]["taxonRank"] = "family"
        else:
            taxa[name]["taxonRank"] = "genus"
        if species and sighting.common_name:
            taxa[name]["vernacularNames"] = {"eng": sighting.common_name}
    return list(taxa.values())


def _taxon(sighting: Sighting) -> str:
    """``Icterus`` for one of several orioles, not ``Icterus sp.``."""
    return (sighting.scientific_name or "").removesuffix(" sp.")


def _deployment(source: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", camera_name(source)).strip("-") or "camera"


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
