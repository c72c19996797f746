"""Pictures of what `oodbench probe` found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from oodbench.concepts import CONCEPTS
from oodbench.diagnostics import linear
from oodbench.diagnostics.probe import Looked, thing_tokens
from oodbench.diagnostics.scenes import ProbeSet

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")  # Okabe and Ito 2008
MARKERS = "osD^vPX"
SHOWN = 4  # frames of the attention figure
CATEGORIES = 8  # in the t-SNE figure


def draw(result: dict[str, Any], looked: Sequence[Looked], probes: ProbeSet, out: Path) -> list[Path]:
    """Write all figures; returns their paths."""
    made = {"layers.png": layers(result), "tsne.png": tsne(looked, probes)}
    if all(one.inside.attention for one in looked):
        made["attention.png"] = attention(looked, probes)
    paths = []
    for name, figure in made.items():
        FigureCanvasAgg(figure)
        figure.savefig(out / name, dpi=110)
        paths.append(out / name)
    return paths


def layers(result: dict[str, Any]) -> Figure:
    """CKA with the reference and accuracy of the probes, layer by layer."""
    reference = result["cka"]["reference"]
    panels = [("linear", concept) for concept in CONCEPTS]
    figure = Figure(figsize=(4 * (len(panels) + bool(reference)), 3.6), layout="constrained")
    axes = figure.subplots(1, len(panels) + bool(reference), squeeze=False)[0]
    for number, (name, found) in enumerate(result["policies"].items()):
        style = {"color": COLOURS[number % 7], "marker": MARKERS[number % 7], "label": name}
        for axis, (_, concept) in zip(axes, panels, strict=False):
            row = found["linear"][concept]["name"]
            axis.errorbar(
                list(row), [c["accuracy"] for c in row.values()], [c["se"] for c in row.values()], capsize=2, **style
            )
        if reference and name != reference:
            table = result["cka"]["thing"]
            axes[-1].plot(list(table), [table[layer][reference][name] for layer in table], **style)
    for axis, (_, concept) in zip(axes, panels, strict=False):
        row = next(iter(result["policies"].values()))["linear"][concept]["name"]
        axis.axhline(next(iter(row.values()))["chance"], color="grey", linestyle=":", label="chance")
        axis.set(title=f"probe: name of a thing of C_{concept}", ylim=(0, 1.02))
    if reference:
        axes[-1].set(title=f"CKA with {reference}", ylim=(-0.05, 1.02))
    for axis in axes:
        axis.tick_params(axis="x", rotation=40)
        axis.grid(alpha=0.3)
    axes[0].legend(fontsize=8)
    return figure


def attention(looked: Sequence[Looked], probes: ProbeSet) -> Figure:
    """What the action queries attend to, in the layer with the most to say, over a few pictures."""
    start = probes.chosen("robot", "start")
    chosen = start[np.linspace(0, len(start) - 1, SHOWN).astype(int)]
    figure = Figure(figsize=(2.4 * (len(looked) + 1), 2.6 * SHOWN), layout="constrained")
    axes = figure.subplots(SHOWN, len(looked) + 1, squeeze=False)
    size = probes.image.shape[1]
    for row, i in zip(axes, chosen, strict=True):
        row[0].imshow(probes.image[i])
        row[0].contour(np.kron(probes.target[i], np.ones((size // 64, size // 64))), levels=[0.5], colors="red")
        row[0].set_title(probes.instruction[i], fontsize=7)
        for axis, one in zip(row[1:], looked, strict=True):
            layer = list(one.inside.attention)[len(one.inside.attention) // 2]
            grid = one.inside.grid
            axis.imshow(probes.image[i])
            heat = one.inside.attention[layer][i].reshape(grid, grid)
            axis.imshow(heat, cmap="inferno", alpha=0.6, extent=(0, size, size, 0), interpolation="nearest")
            axis.set_title(f"{one.name}, {layer}", fontsize=7)
    for axis in axes.ravel():
        axis.set_axis_off()
    return figure


def tsne(looked: Sequence[Looked], probes: ProbeSet) -> Figure:
    """The tokens on the thing that is named, of the middle layer, in two dimensions. An illustration."""
    start = probes.chosen(None, "start")
    labels = probes.attribute("category")[start]
    names, counts = np.unique(labels, return_counts=True)
    frequent = names[np.argsort(-counts)][:CATEGORIES]
    figure = Figure(figsize=(3.6 * len(looked), 3.9), layout="constrained")
    axes = figure.subplots(1, len(looked), squeeze=False)[0]
    for axis, one in zip(axes, looked, strict=True):
        layer = list(one.inside.layers)[len(one.inside.layers) // 2]
        points = linear.tsne(thing_tokens(one.inside.layers[layer][start], probes.target[start]))
        for number, name in enumerate(frequent):
            these = points[labels == name]
            axis.scatter(*these.T, s=9, color=COLOURS[number % 7], marker=MARKERS[number % 7], label=name)
        axis.set(title=f"{one.name}, {layer}", xticks=[], yticks=[])
    axes[0].legend(fontsize=6)
    return figure
