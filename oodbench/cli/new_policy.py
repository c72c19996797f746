"""`oodbench new-policy`: a policy to begin with."""

from __future__ import annotations

import keyword
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer


def new_policy(
    name: Annotated[str, typer.Argument(help="of the file, e.g. my_policy")],
    batched: Annotated[bool, typer.Option(help="one instance that answers several environments at once")] = False,
) -> None:
    """Write a policy that runs, and a test of it.

    Example: oodbench new-policy my_policy, then oodbench run smoke --policy my_policy.py
    """
    from oodbench.errors import SpecError

    stem = Path(name).stem
    if not stem.isidentifier() or keyword.iskeyword(stem) or Path(name).name != name:
        near = "".join(c if c.isalnum() else "_" for c in stem).strip("_") or "my_policy"
        raise SpecError(f"{name!r} is no name of a Python module; try {near!r}")
    paths = {"policy": Path(f"{stem}.py"), "test": Path(f"test_{stem}.py")}
    for path in paths.values():
        if path.exists():
            raise SpecError(f"{path} is there already; give another name")
    templates = files("oodbench.policies") / "templates"
    source = "batched.py" if batched else "single.py"
    for path, template in ((paths["policy"], source), (paths["test"], "test.py")):
        path.write_text((templates / f"{template}.txt").read_text(encoding="utf-8").replace("NAME", stem))
        typer.echo(f"wrote {path}")
    typer.echo(f"next: oodbench inspect {paths['policy']}; oodbench run smoke --policy {paths['policy']}")
