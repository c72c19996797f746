"""The result of `oodbench probe` as tables for a terminal or a Markdown page."""

from __future__ import annotations

from typing import Any

from rich.table import Table

Rows = tuple[str, list[str], list[list[str]]]


def tables(result: dict[str, Any]) -> list[Table]:
    """For a terminal."""
    made = []
    for title, header, rows in contents(result):
        table = Table(title=title, title_justify="left")
        for i, name in enumerate(header):
            table.add_column(name, justify="left" if i == 0 else "right")
        for row in rows:
            table.add_row(*row)
        made.append(table)
    return made


def markdown(result: dict[str, Any]) -> str:
    parts = []
    for title, header, rows in contents(result):
        lines = [f"**{title}**", "", "| " + " | ".join(header) + " |", "|---|" + "---:|" * (len(header) - 1)]
        parts.append("\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)]))
    return "\n\n".join(parts) + "\n"


def contents(result: dict[str, Any]) -> list[Rows]:
    policies = result["policies"]
    layers = list(next(iter(policies.values()))["linear"]["robot"]["name"])
    made: list[Rows] = []
    reference = result["cka"]["reference"]
    if reference:
        for kind, words in (("thing", "tokens on the thing that is named"), ("pooled", "mean of all tokens")):
            table = result["cka"][kind]
            rows = [
                [name, *(f"{table[layer][reference][name]:.2f}" for layer in layers)]
                for name in policies
                if name != reference
            ]
            made.append((f"CKA with {reference}, by layer ({words})", ["policy", *layers], rows))
    for attribute in ("name", "colour"):
        rows = []
        for name, found in policies.items():
            for concept, row in found["linear"].items():
                cells = row[attribute]
                chance = f"{next(iter(cells.values()))['chance']:.2f}"
                rows.append([name, f"C_{concept}", *(f"{cells[layer]['accuracy']:.2f}" for layer in layers), chance])
        made.append((f"Linear probe of the {attribute} of the thing", ["policy", "concepts", *layers, "chance"], rows))
    rows = [
        [name, *(f"{found['position'][layer]['median_cm']:.1f}" for layer in layers)]
        for name, found in policies.items()
    ]
    made.append(("Linear probe of the thing's place: median error (cm)", ["policy", *layers], rows))
    rows = []
    for name, found in policies.items():
        for phase, concepts in found["attention"].items():
            best = max(concepts["robot"], key=lambda layer: concepts["robot"][layer]["map"]["lift"])
            for concept, by_layer in concepts.items():
                own, other = by_layer[best]["map"], by_layer[best]["other words"]
                chance = by_layer[best]["centre prior"]
                scores = (own["hit"], own["hit_chance"], own["lift"], chance["lift"], other["lift"])
                aside = own["distractor"] / own["area"]
                rows.append([name, phase, f"C_{concept}", best, *(f"{x:.2f}" for x in (*scores, aside))])
    header = [
        "policy",
        "phase",
        "concepts",
        "layer",
        "hit",
        "chance",
        "lift",
        "centre prior",
        "other words",
        "on the other",
    ]
    made.append(("Attention of the action queries on what is to be looked for (lift 1 is chance)", header, rows))
    rows = []
    for name, found in policies.items():
        for concept, row in found["listening"].items():
            rows.append([name, f"C_{concept}", *(f"{row[key]:.1f}" for key in ("swap_cm", "blank_cm", "path_cm"))])
    header = ["policy", "concepts", "other thing named (cm)", "nothing said (cm)", "chunk's way (cm)"]
    made.append(("How far the chunk's end moves when the words change", header, rows))
    return made
