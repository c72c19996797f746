"""Every error that a user can cause or meet. One line: what is wrong, with which thing, and the way out."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class OodbenchError(Exception):
    """Base of all errors that oodbench raises on purpose; the command line prints them without a traceback."""


class UnknownNameError(OodbenchError):
    """A task, shift, suite, policy, ... that no registry has."""

    def __init__(self, kind: str, name: str, choices: Iterable[str], hint: str = "") -> None:
        names = sorted(choices)
        near = nearest(name, names)
        advice = f"did you mean {near!r}?" if near else f"choose one of: {', '.join(names) or '(none)'}"
        super().__init__(f"unknown {kind} {name!r}; {advice}{' ' + hint if hint else ''}")


class SpecError(OodbenchError):
    """A file or an argument that does not say what it must (severity out of range, broken TOML, ...)."""


class PolicyError(OodbenchError):
    """A policy that cannot be loaded, or that broke the contract of `oodbench.policies.Policy`."""


class RunFolderError(OodbenchError):
    """A run folder that belongs to another plan, is in use, or cannot be read or written."""


class AssetError(OodbenchError):
    """A robot, object or texture that is missing or malformed."""


class RenderError(OodbenchError):
    """No usable OpenGL on this machine."""


def nearest(name: str, choices: Iterable[str]) -> str | None:
    """The choice that `name` was most likely meant to be, or None when nothing is close."""
    names = list(choices)
    found = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if found:
        return found[0]
    short = {full.rsplit(".", 1)[-1]: full for full in names}  # "lighting" for "visual.lighting"
    found = difflib.get_close_matches(name.rsplit(".", 1)[-1], list(short), n=1, cutoff=0.6)
    return short[found[0]] if found else None
