"""What has been written is on the card, though the power goes the next moment."""

import os
from pathlib import Path


def sync_to_disk(path: Path) -> None:
    """Have a file's content, or a folder's names, survive a power cut; see fsync(2)."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
