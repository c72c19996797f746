"""Taking secrets out of what is written down or shown: policy URIs, commands, error texts."""

from __future__ import annotations

import re
from typing import Any

HIDDEN = "***"
_KEY = r"[\w.-]*(?:token|api[_-]?key|apikey|password|passwd|passphrase|secret|authorization|credential|(?<![a-z])key)"
# key=value and key: value, in a URI, a command or a sentence; also --api-key=value and "token": "value"
_PAIR = re.compile(rf"(?i)(?<![\w.-])({_KEY}[\"']?\s*[=:]\s*[\"']?)(?:(?:bearer|basic)\s+)?(?!/)[^&\s\"',;#]+")
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}")
_USER = re.compile(r"(?i)(?<=://)[^/?#\s@]+@")
_OPTION = re.compile(rf"(?i)^--?{_KEY}$")


def redacted(text: str) -> str:
    """`text` without the values of known secret keys, and without `user:password@` in URIs.

    Args:
        text: A policy URI, a word of a command, or a message that may quote one.

    Returns:
        The text with ``***`` in the place of each secret. Keys are told by their names (token, key, api_key, password,
        secret, authorization, and names that end in one of these).
    """
    text = _USER.sub(f"{HIDDEN}@", text)
    text = _PAIR.sub(rf"\g<1>{HIDDEN}", text)
    return _BEARER.sub(rf"\g<1> {HIDDEN}", text)


def redacted_command(words: list[str]) -> list[str]:
    """A command line without secrets, also where the key is one word and its value the next (``--token abc``)."""
    found = [redacted(word) for word in words]
    for i, word in enumerate(words[:-1]):
        if _OPTION.match(word):
            found[i + 1] = HIDDEN
    return found


def redacted_values(value: Any) -> Any:
    """JSON-like data without secrets: as `redacted` in every string, and all that stands under a secret key."""
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, dict):
        return {k: HIDDEN if _OPTION.match(f"-{k}") and v else redacted_values(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [redacted_values(item) for item in value]
    return value
