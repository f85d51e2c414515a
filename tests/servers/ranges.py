"""Which part of a content a ``Range`` header asks for."""

import re
from dataclasses import dataclass

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


@dataclass(frozen=True)
class Part:
    """What is answered to a request for a range.

    Attributes:
        status: 200 for everything, 206 for a part, 416 where there is nothing.
        start: its first byte.
        stop: the byte after its last.
        size: of everything.
    """

    status: int
    start: int
    stop: int
    size: int

    def headers(self) -> dict[str, str]:
        if self.status == 206:
            return {"Content-Range": f"bytes {self.start}-{self.stop - 1}/{self.size}"}
        return {"Content-Range": f"bytes */{self.size}"} if self.status == 416 else {}


def part(header: str, size: int) -> Part:
    """The part of so large a content that is asked for.

    Everything, as RFC 9110 wants it, if the header is empty or not understood.
    """
    asked = _RANGE.fullmatch(header.strip())
    if asked is None or not any(asked.groups()):
        return Part(200, 0, size, size)
    first, last = asked.groups()
    if not first:
        start, stop = max(0, size - int(last)), size
    else:
        start, stop = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < int(first):
            return Part(200, 0, size, size)
    if start >= size:
        return Part(416, 0, 0, size)
    return Part(206, start, stop, size)
