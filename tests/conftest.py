"""What all tests share: the real photos, and the model that ships inside birdedge."""

from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real photos, weights and models; they are other people's and lie beside the repository."""
    folder = REPOSITORY.parent / "shared"
    if not folder.is_dir():
        pytest.skip(f"the real photos, weights and models are not at {folder}")
    return folder


@pytest.fixture(scope="session")
def default_model() -> Path:
    """The bundle that ships inside birdedge; without it the package is broken."""
    from birdedge.runtime.default import DEFAULT_MODEL

    if not (DEFAULT_MODEL / "manifest.json").is_file():
        pytest.fail(f"birdedge ships without its model: there is none at {DEFAULT_MODEL}")
    return DEFAULT_MODEL
