"""Connections to a server: straight, or through the proxy that the environment names."""

from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3
from urllib3.util import parse_url

from ..credentials import without_credentials
from ..errors import SyncError


def connections(url: str) -> urllib3.PoolManager:
    """Connections by which an address can be asked for.

    Args:
        url: the address, or where it begins.

    Raises:
        SyncError: the proxy that the environment names is none.
    """
    parts = urlsplit(url)
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if proxy is None or proxy_bypass(parts.hostname or ""):
        return urllib3.PoolManager()
    if "://" not in proxy:
        proxy = f"http://{proxy}"
    try:
        auth = parse_url(proxy).auth
        headers = urllib3.make_headers(proxy_basic_auth=unquote(auth)) if auth else None
        return urllib3.ProxyManager(proxy, proxy_headers=headers)
    except (urllib3.exceptions.HTTPError, ValueError) as error:
        raise SyncError(
            f"the proxy of this environment is of no use: {without_credentials(str(error))}"
        ) from error
