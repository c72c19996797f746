"""Which scenes of a suite's pool each cell is played in: a balanced incomplete block design, in closed form.

The pool is cut into as many rounds as a cell has episodes. In each round a cell is played in one scene, and each scene
is one of as many cells as any other, give or take one. Cells that follow each other (the severities of one shift) never
meet in a scene; any other two meet in few, because each group of cells moves on by another step from round to round:
the construction of transversal designs from the lines of a plane (Street and Street 1987, Combinatorics of Experimental
Design, chapter 6). All of them move on by the triangular numbers besides: a task takes its options in turn, by the
seed, and so every cell sees all of them.
"""

from __future__ import annotations

from functools import lru_cache

from oodbench.seeding import generator


def scenes_of(cell: int, scenes: int, episodes: int) -> list[int]:
    """The scenes that a cell is played in, one a round.

    Args:
        cell: Its number among the cells of its task that have as many episodes, from 0.
        scenes: Of the pool; a multiple of `episodes`.
        episodes: Of the cell; as many as there are rounds.

    Returns:
        Numbers from 0 to `scenes` - 1, rising. With as many episodes as scenes, all of them.
    """
    width = scenes // episodes
    group, place = divmod(cell, width)
    start = _shuffled(width)[place]
    return [r * width + (start + r * group + r * (r + 1) // 2) % width for r in range(episodes)]


@lru_cache
def _shuffled(width: int) -> tuple[int, ...]:
    """An order of the cells of a group, so that the part of a round that was played is of all kinds of shifts."""
    return tuple(int(place) for place in generator("design", width).permutation(width))
