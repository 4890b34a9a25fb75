"""Addresses of servers: without their passwords, and whether anything answers there."""

import re
import socket
import ssl
import urllib.error
import urllib.request
from http.client import HTTPException
from urllib.parse import urlsplit

PORTS = {"http": 80, "https": 443, "postgresql": 5432, "postgres": 5432, "mysql": 3306, "mariadb": 3306, "redis": 6379}
"""Where servers are found when an address names no port, by scheme."""


def hidden(address: str) -> str:
    """The address without its password."""
    text = re.sub(r"(://[^:/@\s]*):[^/\s]*@", r"\1:***@", address)
    return re.sub(r"(password=)[^&\s]*", r"\1***", text)


def silence(address: str, seconds: float) -> str | None:
    """Why nothing answers at an address, after so many seconds at most; None where something does, or for a file.

    What answers need not be the right server: that shows when it is used.
    """
    try:
        parts = urlsplit(address)
        scheme, host, port = parts.scheme.partition("+")[0], parts.hostname, parts.port
    except ValueError as error:
        return f"it is no address: {error}"
    port = port or PORTS.get(scheme)
    if not host or not port:
        return None
    try:
        if scheme in ("http", "https"):
            _ask(f"{address.rstrip('/')}/health", seconds)
        else:
            socket.create_connection((host, port), timeout=seconds).close()
    except TimeoutError:
        return f"no answer within {seconds:.0f} s"
    except (OSError, HTTPException, ValueError) as error:
        return str(getattr(error, "strerror", None) or getattr(error, "reason", None) or "no answer that can be read")
    return None


def _ask(url: str, seconds: float) -> None:
    try:
        urllib.request.urlopen(url, timeout=seconds).close()
    except urllib.error.HTTPError:
        return  # an answer
    except urllib.error.URLError as error:
        if isinstance(error.reason, ssl.SSLError):
            return  # whose certificate is not known here; who connects may have been told to trust it
        if isinstance(error.reason, OSError):
            raise error.reason from error
        raise
