"""Where things lie unless somebody says otherwise."""

import os
from pathlib import Path

DEFAULT_MODEL = Path(__file__).parent / "default_model"
"""The model that ships inside birdedge."""

CURRENT = "current"
"""Of a device's models, the link to the one in use."""


def model_in_use() -> Path:
    """The model that `birdedge sync` brought, where it did; else the one inside."""
    link = default_models() / CURRENT
    # Of a folder that cannot be read, a bad block of the card, Path.is_file would raise.
    return link if os.path.isfile(link / "manifest.json") else DEFAULT_MODEL  # noqa: PTH113


def default_store() -> Path:
    """The user's own folder for sightings."""
    import platformdirs

    return platformdirs.user_data_path("birdedge") / "sightings"


def default_models() -> Path:
    """Where models lie that `birdedge sync` brings; ``BIRDEDGE_MODELS`` names another folder."""
    named = os.environ.get("BIRDEDGE_MODELS")
    if named:
        return Path(named)
    import platformdirs

    return platformdirs.user_data_path("birdedge") / "models"
