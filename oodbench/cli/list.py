"""`oodbench list`: what there is."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from typing import Annotated, Any

import typer

from oodbench.errors import OodbenchError
from oodbench.registry import Registry

Row = dict[str, Any]
ONLY_JSON = ("a level of severity", "source")  # too long for a terminal


def list_(
    what: Annotated[
        str,
        typer.Argument(
            help="tasks, shifts, suites, pools, policies, objects, textures, glyphs, presets, predicates or metrics"
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="print for scripts")] = False,
) -> None:
    """List what oodbench and installed packages offer.

    Example: oodbench list shifts
    """
    from rich.console import Console
    from rich.table import Table

    from oodbench.errors import UnknownNameError

    if what not in LISTS:
        raise UnknownNameError("list", what, LISTS)
    rows = LISTS[what]()
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    shown = [name for name in (rows[0] if rows else ()) if name not in ONLY_JSON]
    for name in shown:
        table.add_column(name, overflow="fold")
    for row in rows:
        values = (row[name] for name in shown)
        table.add_row(*(", ".join(v) if isinstance(v, list) else str(v) for v in values))
    console = Console()
    console.print(table)
    if what == "shifts":
        console.print(f"{len(rows)} shifts; units, sources and peers: docs/catalogue.md, or --json", highlight=False)


def _tasks() -> list[Row]:
    from oodbench.task import TASKS

    return [{"task": t.name, "version": t.version, "horizon": t.horizon, "what": t.summary} for t in TASKS]


def _shifts() -> list[Row]:
    from oodbench.shift import SHIFTS

    return [
        {
            "shift": s.name,
            "what": s.summary,
            "channels": sorted(s.channels),
            "a level of severity": s.unit,
            "source": s.source,
            "STAR-Gen": s.star_gen,
        }
        for s in SHIFTS
    ]


def _suites() -> list[Row]:
    from oodbench.suite import SUITES

    return [
        {
            "suite": s.name,
            "version": s.version,
            "scenes a task": s.scene_count,
            "episodes": len(s.plan()),
            "what": s.summary,
        }
        for s in SUITES
    ]


def _pools() -> list[Row]:
    from oodbench.pool import POOLS

    kinds = ("objects", "textures", "glyphs", "tasks", "shifts")
    return [{"pool": p.name, **{kind: len(p.names(kind)) for kind in kinds}, "what": p.summary} for p in POOLS]


def _policies() -> list[Row]:
    from oodbench.policies.controls import POLICIES

    return [{"policy": name, "what": _summary(POLICIES, name)} for name in POLICIES.names()]


def _summary(registry: Registry[Any], name: str) -> str:
    """The first line of a thing's docstring. Nothing is called: a policy may load weights when it is made."""
    try:
        doc = inspect.getdoc(registry.get(name)) or ""
    except OodbenchError as error:
        doc = f"cannot be loaded: {error}"
    return doc.strip().split("\n")[0]


def _objects() -> list[Row]:
    from oodbench.catalogue import OBJECTS

    keys = ("name", "label", "kind", "split", "novelty", "category", "colour", "material", "mass")
    return [{key: getattr(asset, key) for key in keys} for asset in OBJECTS]


def _textures() -> list[Row]:
    from oodbench.catalogue import TEXTURES

    keys = ("name", "label", "split", "novelty")
    return [{**{key: getattr(asset, key) for key in keys}, "surface": list(asset.surface)} for asset in TEXTURES]


def _glyphs() -> list[Row]:
    from oodbench.catalogue import GLYPHS

    return [{"glyph set": g.name, "label": g.label, "glyphs": [glyph.name for glyph in g.glyph]} for g in GLYPHS]


def _presets() -> list[Row]:
    from oodbench.policies.spec import PRESETS

    return [{"preset": p.name, "what": p.summary} for p in PRESETS]


def _predicates() -> list[Row]:
    from oodbench.goal import PREDICATES

    return [{"predicate": p.name, "arguments": p.arity, "what": p.summary} for p in PREDICATES]


def _metrics() -> list[Row]:
    from oodbench.report.metrics import METRICS

    return [{"metric": m.name, "in tables": m.title, "what": m.summary} for m in METRICS]


LISTS: dict[str, Callable[[], list[Row]]] = {
    "tasks": _tasks,
    "shifts": _shifts,
    "suites": _suites,
    "pools": _pools,
    "policies": _policies,
    "objects": _objects,
    "textures": _textures,
    "glyphs": _glyphs,
    "presets": _presets,
    "predicates": _predicates,
    "metrics": _metrics,
}
