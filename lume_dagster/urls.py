"""URLs that somebody configures or names a batch by: what may be a secret in them is refused, and never shown.

Every layer may use this module, and it uses none of them.
"""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

_MASK = "***"

# What is bounded here is so that a long text from elsewhere takes no longer than its length.
_USER = re.compile(r"([a-z0-9+.-]{0,20})://([^/?#\s]*)@", re.IGNORECASE)
# The secret key of an S3 user may hold slashes; behind a host there is a port and nothing else.
_USER_WITH_SLASH = re.compile(r"://[^/?#@:\[\s]*:(?!\d*(?:[/?#\s]|$))[^@\s]{0,500}@")
_PARAMETER = re.compile(r"(?P<before>[?&;#](?P<name>[^=&;#?/\s]+)=)(?P<value>[^&;#\s]+)")
# Before the `@` of an Azure store stands the container.
_CONTAINER_STORES = ("abfs", "abfss", "az", "adl")
_SECRET_NAME = re.compile(
    r"secret|token|passw|pwd|signature|credential|authorization|(access|account|api|private|shared)key|^(sig|sas|auth)$"
)


def checked_base_url(base_url: str, example: str) -> str:
    """Return the base URL without a slash at its end.

    Args:
        base_url: What is configured.
        example: An address as it could be, for messages.

    Raises:
        ValueError: It is no http or https URL of a host, or holds more than host, port and path. The message does
            not repeat it, as that may be a secret.
    """
    import httpx  # noqa: PLC0415 - slow to import, and not needed to declare assets

    such = f"such as {example}"
    if not re.fullmatch(r"[!-~]+", base_url):
        raise ValueError(f"base_url must be an address in ASCII without blanks, {such}")
    try:
        parts = urlsplit(base_url)
        host = httpx.URL(base_url).host
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and bool(host)
        _ = parts.port
    except (ValueError, httpx.InvalidURL):
        raise ValueError(f"base_url must be an http or https URL, {such}") from None
    if "@" in parts.netloc:
        raise ValueError("base_url must not hold a user name or password; the key goes into api_key")
    if not usable:
        raise ValueError(f"base_url must be an http or https URL, {such}")
    try:
        host.encode("idna")
    except UnicodeError:
        raise ValueError(
            f"base_url names no host: each part between dots has 1 to 63 characters, {such}"
        ) from None
    if "?" in base_url or "#" in base_url:
        raise ValueError(f"base_url must have no query and no fragment, {such}; the key goes into api_key")
    return base_url.rstrip("/")


def refuse_credentials(
    path: str,
    name: str = "source_path",
    remedy: str = "set them in the environment of the Lume that reads it",
) -> None:
    """Refuse a path or URI that holds credentials: a password, an access key, or the signature of a presigned URL.

    Args:
        path: What names a file, or any other text.
        name: What it is called, for messages.
        remedy: Where the credentials belong.

    Raises:
        ValueError: It holds some. The message does not repeat them.
    """
    if any(_holds_credentials(text) for text in (path, unquote(path))):
        raise ValueError(f"credentials have no place in a {name}, which is kept and shown; {remedy}")


def without_credentials(text: str) -> str:
    """A text to be shown, with the credentials of the URIs in it left out.

    Example:
        >>> without_credentials("s3://key:secret@bucket/x.csv?region=eu&session_token=abc")
        's3://bucket/x.csv?region=eu&session_token=***'
    """
    if "://" not in text:
        return text
    shown = _PARAMETER.sub(
        lambda found: f"{found['before']}{_MASK}" if _is_secret(found["name"]) else found[0], text
    )
    shown = _USER.sub(lambda found: f"{found[1]}://" if _is_user(*found.groups()) else found[0], shown)
    shown = _USER_WITH_SLASH.sub("://", shown)
    return _MASK if any(_holds_credentials(text) for text in (shown, unquote(shown))) else shown


def _holds_credentials(text: str) -> bool:
    return "://" in text and (
        any(_is_user(*found) for found in _USER.findall(text))
        or _USER_WITH_SLASH.search(text) is not None
        or any(_is_secret(found["name"]) and found["value"] != _MASK for found in _PARAMETER.finditer(text))
    )


def _is_user(protocol: str, user: str) -> bool:
    return ":" in user or protocol.lower() not in _CONTAINER_STORES


def _is_secret(name: str) -> bool:
    return _SECRET_NAME.search(re.sub("[^a-z0-9]", "", name.lower())) is not None
