"""Secrets in texts: recognised, and masked wherever a message, a log or a traceback may show them.

Secrets belong into the environment or into files of credentials. Texts of other libraries quote addresses and settings,
so all that dlif says is masked: credentials in addresses, keys and passwords by their names, and the values of
environment variables that are called like secrets.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import traceback
from types import TracebackType

_MASK = "***"
_SECRET = r"secret|passw(?:or)?d|passphrase|token|api[_-]?key|auth[_-]?string|access[_-]?key|credential|signature"
_ADDRESS = re.compile(r"(?P<scheme>[A-Za-z][\w+.-]*)://(?P<authority>[^\s/?#'\"<>]*)(?P<rest>[^\s'\"<>]*)")
_MASKED = (
    # s3://key:secret@bucket, also with a slash in the secret
    (re.compile(r"(://)[^\s/@'\"]*:[^\s@'\"]*@"), rf"\1{_MASK}@"),
    (re.compile(r"\b((?:s3a?|gs|gcs|az|abfss?|adl|oss)://)(?!arn:)[^\s/@'\"]*:[^\s/'\"]+"), rf"\1{_MASK}"),  # without @
    (re.compile(r"(https?://)[^\s/@'\"]+@"), rf"\1{_MASK}@"),
    (re.compile(rf"([?&;][\w.-]*(?:{_SECRET}|\bsig|\bkey)[\w.-]*=)[^&;\s'\"]+", re.IGNORECASE), rf"\1{_MASK}"),
    (re.compile(r"(authorization['\"]?\s*[:=]\s*['\"]?(?:(?:bearer|basic|token)\s+)?)[^\s'\",]+", re.I), rf"\1{_MASK}"),
    (re.compile(rf"([\w.-]*(?:{_SECRET})[\w.-]*['\"]?\s*[:=]\s*['\"]?)[^\s'\",}}]{{4,}}", re.I), rf"\1{_MASK}"),
    (re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"), _MASK),
)
_QUERY = re.compile(rf"[?&][\w.-]*(?:{_SECRET}|\bsig|\bkey)[\w.-]*=[^&\s]", re.IGNORECASE)

#: A port, or a placeholder that somebody else fills in.
_PORT = re.compile(r"[0-9]*|.*[{$].*", re.DOTALL)
#: Schemes of addresses without a port: those of object stores.
_OF_BUCKETS = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oss")

_VARIABLE = re.compile(rf"(?:{_SECRET})|_KEY$", re.IGNORECASE)
_NO_SECRET = re.compile(r"_(?:FILE|PATH|DIR)$", re.IGNORECASE)
#: A shorter value of a variable might be a word of any message.
_SHORTEST = 6


def masked(text: str) -> str:
    """A text without the secrets in it.

    Examples
    --------
    >>> masked("no answer from s3://AKID:x/1y@bucket/mice and https://host/a?token=abc&page=2")
    'no answer from s3://***@bucket/mice and https://host/a?token=***&page=2'
    """
    for value in _secret_values():
        text = text.replace(value, _MASK)
    for pattern, replacement in _MASKED:
        text = pattern.sub(replacement, text)
    return text


def _secret_values() -> list[str]:
    """Values of environment variables that are called like secrets, the longest first."""
    found = (
        value
        for name, value in os.environ.items()
        if len(value) >= _SHORTEST and _VARIABLE.search(name) and not _NO_SECRET.search(name)
    )
    return sorted(found, key=len, reverse=True)


def holds_credentials(text: str) -> bool:
    """Whether an address in a text names a password, a key or a signature."""
    return any(_has_credentials(address) for address in _ADDRESS.finditer(text))


def has_odd_port(text: str) -> bool:
    """Whether what stands in an address for the port is no number; a bucket has none."""
    return any(_odd_port(address) for address in _ADDRESS.finditer(text))


def _has_credentials(address: re.Match[str]) -> bool:
    """``user:password@``, a token before an ``@`` of the web, what is no port after a colon, or a secret parameter.

    A secret may have a slash, after which the authority of the address seems to end.
    """
    authority, rest = address["authority"], address["rest"]
    user, at, _ = authority.rpartition("@")
    if at and (":" in user or address["scheme"].endswith(("http", "https"))):
        return True
    no_port = _odd_port(address) and ("@" in rest or address["scheme"].endswith(_OF_BUCKETS))
    return no_port or _QUERY.search(rest) is not None


def _odd_port(address: re.Match[str]) -> bool:
    port = address["authority"].rpartition("]")[2].rpartition(":")[2]
    return ":" in address["authority"].rpartition("]")[2] and not _PORT.fullmatch(port)


def mask_logs() -> None:
    """Mask secrets in every record that is logged in this process, and in the traceback that ends it."""
    made = logging.getLogRecordFactory()
    if getattr(made, "masks", False):
        return

    def masking(*arguments: object, **more: object) -> logging.LogRecord:
        record = made(*arguments, **more)
        try:
            said = record.getMessage()
        except (TypeError, ValueError):  # logging itself tells of a message that does not fit its arguments
            return record
        if masked(said) != said:
            record.msg, record.args = masked(said), ()
        if record.exc_info and record.exc_info[0]:
            record.exc_text = masked("".join(traceback.format_exception(*record.exc_info)).rstrip())
        return record

    masking.masks = True  # type: ignore[attr-defined]
    logging.setLogRecordFactory(masking)
    sys.excepthook = _show


def _show(kind: type[BaseException], fault: BaseException, place: TracebackType | None) -> None:
    sys.stderr.write(masked("".join(traceback.format_exception(kind, fault, place))))
