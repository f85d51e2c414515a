"""Addresses as they may be shown or logged: without the user, password or token in them."""

import re

# `re` compiles each when first asked, and keeps it: pictures in files have no need of any.

# A camera's or a broker's: as far as the last @, for nothing but passwords hold one there, and also
# where a slash was forgotten.
_CAMERA = r"(?i)^((?:rtsp|rtmp|mqtt)s?:/{0,2}).*@"
# Elsewhere as far as the last @ before the path: a password may hold one. And one that holds a
# slash, by mistake, is no less secret: what follows a colon and is no port goes on as far as any @.
_ELSEWHERE = (
    r"(?i)^([a-z][a-z0-9+.-]*://|https?:/?)"
    r"(?:[^/?#:\[]*:(?!\d+(?:[/?]|$)).*@|[^/?#]*@)"
)
# Many cameras want them in the path or the query: /user=admin&password=secret&channel=1. Each maker
# has its own words for them (loginpas, user_pass, pw): rather one setting too many is hidden.
_NAMED = (
    r"(?i)([/?&;](?:[a-z0-9_-]*(?:user|usr|login|pass|pwd|auth|token|secret|cred|signature)[a-z0-9_-]*|"
    r"u|p|pw|account|key|api_?key|sid|session|code|sig|hash|jwt)=)[^/?&;#]*"
)
# Others give each stream a name that nobody guesses: rtsps://host:7441/kWpQzXcVbNmLsDfG.
_SECRET_NAME = (
    r"^((?i:rtsps?)://[^/]+/[A-Za-z0-9]{4})(?=[A-Za-z0-9]*[a-z])(?=[A-Za-z0-9]*[A-Z])"
    r"[A-Za-z0-9]{12,}(?=\?|$)"
)


def without_credentials(url: str) -> str:
    """An address without the user, password or token in it."""
    for pattern in (_CAMERA, _ELSEWHERE):
        url = re.sub(pattern, r"\1", url)
    for pattern in (_NAMED, _SECRET_NAME):
        url = re.sub(pattern, r"\1***", url)
    return url
