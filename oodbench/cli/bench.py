"""`oodbench bench`: how fast, against robosuite and against the bare physics."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

ROWS = {
    "reset": "reset, mean over episodes of core-2 in their order",
    "reset_new": "reset, other objects",
    "step": "control step, no camera",
    "frame": "one frame",
    "episode_chunk1": "episode, 2 cameras, chunk 1",
    "episode_chunk8": "episode, 2 cameras, chunk 8",
}


def bench(
    size: Annotated[int, typer.Option(help="pixels of the square images")] = 256,
    repeats: Annotated[int, typer.Option(help="repetitions, alternating between the two sides")] = 5,
    policy_latency: Annotated[
        float | None,
        typer.Option(min=0.0, help="instead: what batches gain, of a policy that takes so many ms for one"),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="with --policy-latency")] = 2,
    envs: Annotated[int, typer.Option(min=1, help="with --policy-latency: episodes that each plays at once")] = 8,
    out: Annotated[Path | None, typer.Option("--json", help="also write every figure to this file")] = None,
) -> None:
    """Time oodbench against robosuite's own Panda environments, and against a bare loop of the same physics.

    Example: oodbench bench --json bench.json; oodbench bench --policy-latency 30
    """
    from rich.console import Console
    from rich.table import Table

    from oodbench import bench as benchmark

    console = Console(width=max(100, Console().width))
    if policy_latency is not None:
        with console.status("playing episodes, one at a time and many at once"):
            found = benchmark.batching(policy_latency, workers, envs)
        console.print(
            f"{workers} workers x {envs} environments play {found['ratio']:.1f} times the episodes a second of one "
            f"environment ({found['many']:.2f} against {found['one']:.2f}), with a policy that takes "
            f"{policy_latency:g} ms for a batch of any size and looks at one picture of 224 pixels",
            soft_wrap=True,
        )
        if out:
            out.write_text(json.dumps({"batching": found, "machine": benchmark.machine()}, indent=1) + "\n")
        return
    with console.status("starting") as status:
        result = benchmark.run(size, repeats, status.update)
    table = Table(title=f"oodbench against robosuite 1.5.2, {size} x {size} pixels (medians, ms)")
    table.add_column("")
    for name in result["peers"]:
        for column in ("oodbench", name, "ratio"):
            table.add_column(column, justify="right")
    for key, label in ROWS.items():
        cells = [label]
        for peer in result["peers"].values():
            both: dict[str, Any] | None = peer["milliseconds"].get(key)
            if both is None:
                cells += ["-"] * 3
                continue
            cells += [f"{both['oodbench']:.2f}", f"{both['robosuite']:.1f}", f"{peer['ratios'][key]:.1f}x"]
        table.add_row(*cells)
    console.print(table)
    floor, reset = result["floor"], result["reset"]
    console.print(
        f"control step over the bare C loop: {floor['step_over_floor']:.2f}x "
        f"({floor['step_ms']:.2f} against {floor['bare_ms']:.2f} ms)"
    )
    console.print(
        f"reset: sampling {reset['sample_ms']:.2f} ms, in place {reset['in_place_ms']:.2f} ms, "
        f"with a model that must be compiled {reset['compile_ms']:.0f} ms; "
        f"its first frame {reset['first_frame_ms']:.0f} ms more"
    )
    presets = result["presets"]
    console.print(
        f"a frame at the standard preset: {presets['ratio']:.2f} of its time at version 1's settings "
        f"({presets['standard_ms']:.2f} against {presets['version_1_ms']:.2f} ms)"
    )
    console.print(", ".join(f"{key} {value}" for key, value in result["machine"].items()), style="dim")
    if out:
        out.write_text(json.dumps(result, indent=1) + "\n")
        console.print(f"wrote {out}")
