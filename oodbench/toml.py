"""TOML files as validated models, with errors that name the file, the line and the key."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from oodbench.errors import OodbenchError, SpecError, nearest

Model = TypeVar("Model", bound=BaseModel)


def load(path: Path, model: type[Model]) -> Model:
    """Read `path` as a `model`. The field `name` is filled in from the file's stem and must not contradict it.

    Raises SpecError: no such file, broken TOML, or a value that the model refuses.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{path}: cannot be read ({error})") from error
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SpecError(f"{path}: not valid TOML: {error}{_culprit(text, str(error))}") from error
    if data.setdefault("name", path.stem) != path.stem:
        raise SpecError(f"{path}:{_line_of(text, ('name',))}: name is {data['name']!r}, but the file is {path.name}")
    try:
        return model.model_validate(data)
    except OodbenchError as error:  # an unknown name somewhere in the file
        quoted = re.search(r"'([^']+)'", str(error))
        line = next((i for i, x in enumerate(text.splitlines(), 1) if quoted and quoted[1] in x), 1)
        raise SpecError(f"{path}:{line}: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        keys = tuple(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            near = nearest(keys[-1], model.model_fields)
            message = "no such key" + (f"; did you mean {near!r}?" if near else "")
        elif first["type"] == "missing":
            message = "this key is missing"
        raise SpecError(f"{path}:{_line_of(text, keys)}: {'.'.join(keys) or 'file'}: {message}") from error


def _culprit(text: str, message: str) -> str:
    """The text of the line that a parser complained about."""
    found = re.search(r"at line (\d+)", message)
    if not found:
        return ""
    lines = text.splitlines()
    number = int(found[1])
    return f": {lines[number - 1].strip()!r}" if 0 < number <= len(lines) else ""


def _line_of(text: str, keys: tuple[str, ...]) -> int:
    """The line that sets `keys`, as well as a scan can tell (arrays of tables are counted)."""
    names = [key for key in keys if not key.isdigit()]
    occurrence = next((int(key) for key in keys if key.isdigit()), 0)
    lines = text.splitlines()
    start = 0
    if names:
        headers = [i for i, line in enumerate(lines) if re.match(rf"\s*\[\[?\s*{re.escape(names[0])}\b", line)]
        if headers:
            start = headers[min(occurrence, len(headers) - 1)]
    for name in reversed(names):
        pattern = re.compile(rf"\s*(\[\[?[^\]]*\b)?[\"']?{re.escape(name)}\b")
        for i in range(start, len(lines)):
            if pattern.match(lines[i]):
                return i + 1
    return start + 1
