"""From text to numbers: a closed vocabulary of whole words, kept in the checkpoint."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np

PAD, UNKNOWN = "<pad>", "<unknown>"
WORD = re.compile(r"[a-z0-9]+(?:['-][a-z0-9]+)*")


def words(text: str) -> list[str]:
    return WORD.findall(text.lower())


class Vocabulary:
    """Words by number; 0 is padding, 1 everything that is not in it."""

    def __init__(self, listed: Sequence[str]) -> None:
        self.listed = tuple(listed)
        self._number = {word: i for i, word in enumerate(self.listed)}

    @classmethod
    def of(cls, texts: Iterable[str]) -> Vocabulary:
        """All the words of some texts, in alphabetical order."""
        return cls((PAD, UNKNOWN, *sorted({word for text in texts for word in words(text)})))

    def __len__(self) -> int:
        return len(self.listed)

    def encode(self, texts: Sequence[str], longest: int) -> np.ndarray:
        """(n, t) int64, padded to the longest text, cut to `longest` words (at least one)."""
        rows = [[self._number.get(word, 1) for word in words(text)][:longest] for text in texts]
        table = np.zeros((len(rows), max([1, *map(len, rows)])), np.int64)
        for i, row in enumerate(rows):
            table[i, : len(row)] = row
        return table
