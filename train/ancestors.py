"""Where a network came from: others, which may have learned what is held out now."""

from pydantic import ValidationError

from .checkpoint import Provenance
from .settings import Data


def may_have_learned(ancestor: Provenance, digest: str, data: Data) -> bool:
    """Whether a network may have learned from photos that are held out now.

    Args:
        ancestor: of that network; one that says nothing of its photos is not suspected.
        digest: `provenance.data_digest` of the training photos now, before any are held out.
        data: how they are cut now.
    """
    try:
        then = Data.of(ancestor.config)
    except (KeyError, ValidationError):
        return False
    same_photos = ancestor.data_digest == digest
    same_cut = (then.val_fraction, then.split_seed) == (data.val_fraction, data.split_seed)
    # In a folder whose photos have changed since, the same seed holds out others.
    return not (same_photos and same_cut) and (same_photos or then.root == data.root)
