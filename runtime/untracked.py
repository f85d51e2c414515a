"""No word of what birdedge does to the makers of its tools."""

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def untracked() -> Iterator[None]:
    """Keep OpenVINO and NNCF from reporting the block to an analytics service.

    OpenVINO does so as soon as it is imported. Both leave it where they believe themselves in
    continuous integration; no other switch works for all of their parts.
    """
    before = os.environ.get("CI")
    os.environ["CI"] = "true"
    try:
        yield
    finally:
        if before is None:
            del os.environ["CI"]
        else:
            os.environ["CI"] = before
