"""Several tests at once, and letters for what they leave undecided."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence

import numpy as np
from scipy import stats


def holm(p: Sequence[float]) -> list[float]:
    """Adjusted p-values that keep the chance of any false alarm (Holm 1979, Scand. J. Statist. 6); any dependence."""
    values = np.asarray(p, float)
    order = np.argsort(values, kind="stable")
    adjusted = np.empty(len(values))
    stepped = np.maximum.accumulate((len(values) - np.arange(len(values))) * values[order])
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted.tolist()


def benjamini_hochberg(p: Sequence[float]) -> list[float]:
    """Adjusted p-values that keep the share of false alarms among the alarms (Benjamini and Hochberg 1995, JRSS B 57).

    For exploring; independent or positively dependent tests.
    """
    return stats.false_discovery_control(list(p)).tolist() if len(p) else []


def letters(order: Sequence[str], different: Mapping[tuple[str, str], bool]) -> dict[str, str]:
    """Compact letter display: two names share a letter exactly when they are not significantly different.

    order: names, best first; the letters begin with "a" at the best. different: of each pair, in either order. By
    insertion and absorption (Piepho 2004, J. Comput. Graph. Statist. 13, 456-466).
    """

    def differ(a: str, b: str) -> bool:
        return bool(different.get((a, b), different.get((b, a), False)))

    columns = [set(order)]
    for i, a in enumerate(order):
        for b in order[i + 1 :]:
            if not differ(a, b):
                continue
            split = [column for column in columns if a in column and b in column]
            columns = [column for column in columns if column not in split]
            for column in split:
                for part in (column - {a}, column - {b}):
                    if not any(part <= other for other in columns):
                        columns = [other for other in columns if not other <= part] + [part]
    columns.sort(key=lambda column: min(order.index(name) for name in column))
    alphabet = string.ascii_lowercase + string.ascii_uppercase
    signs = [alphabet[i % len(alphabet)] + "'" * (i // len(alphabet)) for i in range(len(columns))]
    return {name: "".join(s for s, column in zip(signs, columns, strict=True) if name in column) for name in order}
