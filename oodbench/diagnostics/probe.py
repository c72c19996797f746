"""All diagnostics of some policies side by side: `oodbench probe`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from oodbench.concepts import CONCEPTS
from oodbench.diagnostics import attention, cka, linear, listening, scenes
from oodbench.diagnostics.inside import Inside, look
from oodbench.diagnostics.scenes import ProbeSet
from oodbench.errors import OodbenchError
from oodbench.policies.loading import load_policy, spec_of
from oodbench.progress import Meter

ATTRIBUTES = ("name", "colour")  # of what is named, that probes read off its patches


@dataclass
class Looked:
    """A policy and what it did with the probe set: as instructed, with the other thing named, with nothing said."""

    name: str
    uri: str
    inside: Inside
    swapped: Inside
    blank: Inside


def load_probes(folder: Path, per_concept: int, image_size: int, workers: int) -> ProbeSet:
    """The probe set, rendered once per folder."""
    path = folder / f"probes-{per_concept}-{image_size}.npz"
    if not path.exists():
        scenes.save(scenes.render(per_concept, image_size, workers), path)
    return scenes.load(path)


def look_into(named: Sequence[tuple[str, str]], probes_of: Any) -> tuple[list[Looked], ProbeSet]:
    """Run policies, given as (name, URI), on the probe set; probes_of(image_size) gives it."""
    found, probes = [], None
    sizes = set()
    for name, uri in named:
        policy = load_policy(uri).make()
        sizes.add(spec_of(policy).image_size)
        if len(sizes) > 1:
            raise OodbenchError(
                f"policy {name}: takes pictures of another size than the others ({sorted(sizes)}); probe it apart"
            )
        probes = probes_of(sizes.copy().pop()) if probes is None else probes
        blank = [""] * len(probes)
        views = (
            look(policy, name, probes.image, probes.wrist_image, probes.state, texts)
            for texts in (probes.instruction, probes.swapped, blank)
        )
        found.append(Looked(name, uri, *views))
    assert probes is not None
    return found, probes


def measure(looked: Sequence[Looked], probes: ProbeSet, reference: str | None = None) -> dict[str, Any]:
    """Everything that is measured, as JSON. reference: the name of the policy that CKA is taken against."""
    result: dict[str, Any] = {"frames": len(probes), "scenes": int(probes.scene.max()) + 1, "policies": {}}
    result["cka"] = _cka_table(looked, probes, reference)
    with Meter("probes", len(looked)) as meter:
        for one in looked:
            result["policies"][one.name] = {
                "uri": one.uri,
                "grid": one.inside.grid,
                "linear": _linear(one.inside, probes),
                "position": _position(one.inside, probes),
                "silhouette": _silhouette(one.inside, probes),
                "effective_rank": {
                    layer: cka.effective_rank(_pooled(tokens)) for layer, tokens in one.inside.layers.items()
                },
                "attention": _attention(one, probes),
                "listening": {
                    concept: listening.divergence(*(v.actions[probes.chosen(concept, "start")] for v in _views(one)))
                    for concept in CONCEPTS
                },
            }
            meter.advance(note=one.name)
    return result


def write(result: dict[str, Any], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1, allow_nan=True) + "\n", encoding="utf-8")


def thing_tokens(tokens: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """(n, p, d) tokens to (n, d): the mean over the patches that a thing covers, by how much; else 0."""
    grid = round(tokens.shape[1] ** 0.5)
    weight = attention.occupancy(mask, grid)
    weight = weight / np.maximum(weight.sum(1, keepdims=True), 1e-9)
    return np.einsum("np,npd->nd", weight, tokens)


def _views(one: Looked) -> tuple[Inside, Inside, Inside]:
    return one.inside, one.swapped, one.blank


def _pooled(tokens: np.ndarray) -> np.ndarray:
    return tokens.mean(1)


def _cka_table(looked: Sequence[Looked], probes: ProbeSet, reference: str | None) -> dict[str, Any]:
    """By layer: CKA of every pair of policies, of pooled tokens and of the tokens on the thing that is named."""
    names = [one.name for one in looked]
    if reference is not None and reference not in names:
        raise OodbenchError(f"the reference {reference!r} is none of the policies: {', '.join(names)}")
    table: dict[str, Any] = {"reference": reference, "pooled": {}, "thing": {}}
    for layer in looked[0].inside.layers:
        have = [one for one in looked if layer in one.inside.layers]
        features = {
            "pooled": {one.name: _pooled(one.inside.layers[layer]) for one in have},
            "thing": {one.name: thing_tokens(one.inside.layers[layer], probes.target) for one in have},
        }
        for kind, by_name in features.items():
            table[kind][layer] = {a: {b: cka.cka(by_name[a], by_name[b]) for b in by_name if b != a} for a in by_name}
    return table


def _linear(inside: Inside, probes: ProbeSet) -> dict[str, Any]:
    """By concept, attribute and layer: what a linear probe reads off the patches of the thing."""
    result: dict[str, Any] = {}
    for concept in CONCEPTS:
        chosen = probes.chosen(concept, "start")
        for attribute in ATTRIBUTES:
            labels = probes.attribute(attribute)[chosen]
            for layer, tokens in inside.layers.items():
                features = thing_tokens(tokens[chosen], probes.target[chosen])
                row = result.setdefault(concept, {}).setdefault(attribute, {})
                row[layer] = linear.probe(features, labels, probes.scene[chosen])
    return result


def _position(inside: Inside, probes: ProbeSet) -> dict[str, Any]:
    chosen = probes.chosen(None, "start")
    return {
        layer: linear.position_probe(_pooled(tokens[chosen]), probes.where[chosen], probes.scene[chosen])
        for layer, tokens in inside.layers.items()
    }


def _silhouette(inside: Inside, probes: ProbeSet) -> dict[str, Any]:
    chosen = probes.chosen(None, "start")
    labels = probes.attribute("category")[chosen]
    return {
        layer: linear.silhouette(thing_tokens(tokens[chosen], probes.target[chosen]), labels, draws=50)
        for layer, tokens in inside.layers.items()
    }


def _attention(one: Looked, probes: ProbeSet) -> dict[str, Any]:
    """By phase, concept and layer: localisation of what is to be looked for, with its baselines."""
    result: dict[str, Any] = {}
    for phase, mask in (("start", probes.target), ("carry", probes.place)):
        for concept in CONCEPTS:
            chosen = probes.chosen(concept, phase)
            for layer, maps in one.inside.attention.items():
                maps, other = maps[chosen], probes.other[chosen]
                rows = {
                    "map": attention.localisation(maps, mask[chosen], other),
                    "other words": attention.localisation(one.swapped.attention[layer][chosen], mask[chosen], other),
                    "centre prior": attention.localisation(attention.centre_prior(maps), mask[chosen], other),
                    "uniform": attention.localisation(attention.uniform(maps), mask[chosen], other),
                }
                place = result.setdefault(phase, {}).setdefault(concept, {})
                place[layer] = {name: row.to_dict() for name, row in rows.items()}
    return result
