"""What happens to an action on its way to the controller: losses, gain, bias, a turned frame, noise, lag."""

from __future__ import annotations

import math

import numpy as np

from oodbench.scene import Actuation
from oodbench.seeding import normal


class Actuators:
    """The actuation channel of one episode.

    Args:
        actuation: what happens.
        noise: the stream of the noise.
        losses: the stream that says which actions are lost.
    """

    def __init__(self, actuation: Actuation, noise: np.random.Generator, losses: np.random.Generator) -> None:
        self._channel, self._noise, self._losses = actuation, noise, losses
        self._faithful = actuation == Actuation()  # nothing happens on the way
        self._last = np.zeros(6)

    def execute(self, action: np.ndarray) -> np.ndarray:
        """The action, (7,) in [-1, 1], that reaches the controller for `action`, (7,) in [-1, 1]."""
        if self._faithful:
            return action
        channel = self._channel
        if channel.loss and self._losses.random() < channel.loss:
            return np.zeros(7)
        motion = channel.gain * action[:6] + channel.bias
        if channel.frame:
            c, s = math.cos(channel.frame), math.sin(channel.frame)
            x, y, z, about_x, about_y, about_z = motion
            motion = np.array(
                [c * x - s * y, s * x + c * y, z, c * about_x - s * about_y, s * about_x + c * about_y, about_z]
            )
        if channel.noise:
            motion = motion + channel.noise * normal(self._noise, 6)
        motion = channel.lag * self._last + (1 - channel.lag) * motion
        self._last = motion
        return np.concatenate([motion.clip(-1.0, 1.0), action[6:]])
