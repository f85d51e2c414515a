"""Where the model lies that ships inside birdedge."""

from pathlib import Path

DEFAULT_MODEL = Path(__file__).parent / "default_model"
