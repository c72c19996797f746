"""Registers --env.type=oodbench when lerobot looks for plugins."""

import oodbench.interop.lerobot_eval  # noqa: F401
