"""`oodbench lerobot-env`: the environment that LeRobot policies run in."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def lerobot_env(
    folder: Annotated[Path, typer.Argument(help="of the environment")] = Path(".venv-lerobot"),
    python: Annotated[str, typer.Option(help="interpreter to make it of")] = sys.executable,
    torch: Annotated[str, typer.Option(help="what to ask pip for; for CUDA, what pytorch.org says")] = "torch==2.13.0",
) -> None:
    """Make an environment with lerobot and oodbench, for `lerobot://` policies and for `lerobot-eval`.

    Example: oodbench lerobot-env, then oodbench run quick --policy lerobot://outputs/train/checkpoints/last/pretrained_model
    """
    from oodbench.interop.lerobot_setup import make

    typer.echo(f"ready: {make(folder, python, torch, typer.echo)}")
