"""Addresses as servers are asked for them: a browser shows them as people read them."""

from urllib.parse import quote, urlsplit

# What the URL standard (url.spec.whatwg.org) leaves as it is in paths and queries; % for what is
# quoted already.
_PATH = "!$%&'()*+,/:;=@[]|"
_QUERY = _PATH + "?"


def as_asked(url: str) -> str:
    """An address in ASCII: ``http://host/blåmes 1.jpg`` becomes ``http://host/bl%C3%A5mes%201.jpg``.

    Raises:
        ValueError: no host can have such a name.
    """
    parts = urlsplit(url)
    login, at, host = parts.netloc.rpartition("@")
    if not host.isascii():
        host = host.encode("idna").decode()
    return parts._replace(
        netloc=login + at + host,
        path=quote(parts.path, safe=_PATH),
        query=quote(parts.query, safe=_QUERY),
    ).geturl()
