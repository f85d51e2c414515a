"""Text that others wrote, in bundles and labels files, and that people are shown.

A terminal obeys some characters instead of showing them, and a line break makes two lines of one.
"""

import unicodedata
from typing import Annotated

from pydantic import AfterValidator, ValidationError

_JOINERS = "\u200c\u200d"
"""Persian and the scripts of India cannot be spelled without them."""


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    for character in text:
        # Of spaces, Python calls only the plain one printable.
        space = unicodedata.category(character) == "Zs"
        if not (character.isprintable() or space or character in _JOINERS):
            raise ValueError(f"U+{ord(character):04X} in it cannot be printed; take it out")
    return text


Text = Annotated[str, AfterValidator(_printable)]
"""One line that can be printed: letters of any script, but no control characters."""


def what_is_wrong(error: ValidationError) -> str:
    """The first thing that is wrong with a file's content, and where."""
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"]) or "the file"
    return f"{place}: {first['msg']}"
