"""The sections of a report that are tables, open to other packages: every format draws them, each in its own way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oodbench.registry import Registry

if TYPE_CHECKING:
    from oodbench.report.summary import RunSummary

Lines = list[list[str]]  # a header, and rows; empty when the runs have nothing to say
ORDER = ("settings", "think", "language-use", "metrics")  # other packages' come after these, by name


@dataclass(frozen=True)
class Section:
    """A section of the report of one or several runs.

    Attributes:
        name: in the registry.
        title: its heading.
        note: what stands over the table.
        lines: the runs -> the table.
        html: the runs -> markup that stands on the page instead of the table (a figure, say); None: the table.
    """

    name: str
    title: str
    note: str
    lines: Callable[[Sequence[RunSummary]], Lines]
    html: Callable[[Sequence[RunSummary]], str] | None = None


SECTIONS: Registry[Section] = Registry("report section", of=Section)
Build = Callable[[Sequence["RunSummary"]], Lines]


def report_section(
    name: str, title: str, note: str = "", html: Callable[[Sequence[RunSummary]], str] | None = None
) -> Callable[[Build], Build]:
    """Register the decorated function as a section.

    It is given the `RunSummary` of each run and returns a header and rows of texts, or nothing when the runs have
    nothing to say in it.

    Args:
        name: In the registry.
        title: Its heading.
        note: What stands over the table.
        html: Gives markup that stands on the page instead of the table.

    Raises:
        SpecError: The name is taken.
    """

    def register(lines: Build) -> Build:
        SECTIONS.add(name, Section(name, title, note, lines, html), lines.__module__)
        return lines

    return register


def sections() -> list[Section]:
    """All of them, in the order of the page."""
    place = {name: i for i, name in enumerate(ORDER)}
    return sorted(SECTIONS, key=lambda section: (place.get(section.name, len(place)), section.name))
