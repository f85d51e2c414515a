"""Where things lie unless somebody says otherwise."""

from pathlib import Path

DEFAULT_MODEL = Path(__file__).parent / "default_model"
"""The model that ships inside birdedge."""


def default_store() -> Path:
    """The user's own folder for sightings."""
    import platformdirs

    return platformdirs.user_data_path("birdedge") / "sightings"
