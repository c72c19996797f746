"""Films of episodes: both cameras side by side, H.264, ten frames a second of simulated time."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import imageio.v2 as imageio
import numpy as np

from oodbench.convention import CONTROL_HZ

if TYPE_CHECKING:
    from oodbench.sim.world import World

SIZE = 256  # pixels of each of the two pictures
EVERY = 2  # control steps a frame
HOLD = 8  # the last frame stays for so many frames

log = logging.getLogger(__name__)


class Film:
    """Collects frames and writes them at the end. A film that cannot be written never costs the episode."""

    def __init__(self, path: Path, size: int = SIZE) -> None:
        """size: pixels of each of the two pictures."""
        self._path, self._size = path, size
        self._frames: list[np.ndarray] = []

    def shoot(self, world: World, *, last: bool = False) -> None:
        """Take a frame if one is due."""
        if world.steps % EVERY == 0 or last:
            self._frames.append(
                np.concatenate([world.see("image", self._size), world.see("wrist_image", self._size)], axis=1)
            )

    def close(self, *, success: bool) -> str | None:
        """Write the film, framed green for success and red for failure at its end. Returns the file's name, or None."""
        colour = (0, 158, 115) if success else (213, 94, 0)
        end = self._frames[-1].copy()
        for edge in (np.s_[:4], np.s_[-4:], np.s_[:, :4], np.s_[:, -4:]):
            end[edge] = colour
        part = self._path.with_suffix(".part.mp4")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            writer: Any
            with imageio.get_writer(
                part, fps=CONTROL_HZ / EVERY, codec="libx264", quality=4, macro_block_size=1, ffmpeg_log_level="error"
            ) as writer:
                for frame in [*self._frames, *[end] * HOLD]:
                    writer.append_data(frame)
            part.replace(self._path)
        except Exception as error:  # a full disk, a missing ffmpeg
            log.warning("the video %s was not written: %s", self._path.name, error)
            part.unlink(missing_ok=True)
            return None
        return self._path.name
