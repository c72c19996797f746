"""`oodbench replay`: play a scene, or an episode of a run, into a video."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def replay(
    source: Annotated[Path, typer.Argument(help="a scene (.json), or a run folder")],
    episode: Annotated[
        str | None, typer.Option(help="of a run: task/shift/severity/seed, e.g. put-on/visual.lighting/3/0")
    ] = None,
    policy: Annotated[
        str | None,
        typer.Option(help="play with this policy (default: the recorded actions; for a scene, the expert)"),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="the video to write (default: replay.mp4)")] = None,
    save_scene: Annotated[Path | None, typer.Option(help="also write the scene as JSON")] = None,
    own: Annotated[
        bool, typer.Option("--own", help="the run is mine: task files that it names by their paths may be read")
    ] = False,
) -> None:
    """Play one episode again, from its recorded actions, and write what both cameras saw. Nothing that a run folder
    names is loaded: a policy plays only where you name one.

    Examples: oodbench replay runs/quick-expert --episode put-on/visual.lighting/3/0
    oodbench replay scene.json --policy random --out random.mp4
    """
    from oodbench.run.replay import replay_episode, replay_scene

    path = out or Path("replay.mp4")
    if source.suffix == ".json" and source.name != "run.json":
        scene, record = replay_scene(source, policy or "expert", path)
        same = ""
    else:
        scene, record, same = replay_episode(source, episode, policy, path, paths=own)
    if save_scene:
        save_scene.write_text(scene.canonical_json() + "\n")
    outcome = (
        "error: " + record.error if record.error else "success" if record.success else f"failure: {record.failure}"
    )
    typer.echo(f"{path}: {record.steps} steps, {outcome}{same}")
