"""From a scene to a world: MjModel building, control, rendering, predicates."""

import os
import sys

if sys.platform == "linux" and not os.environ.get("DISPLAY"):
    os.environ.setdefault("MUJOCO_GL", "egl")  # mujoco reads it when it is imported
