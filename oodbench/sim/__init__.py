"""From a scene to a world: MjModel building, control, rendering, predicates."""

import os
import sys

if sys.platform == "linux" and not os.environ.get("DISPLAY"):
    os.environ.setdefault("MUJOCO_GL", "egl")  # mujoco reads it when it is imported

GL_PACKAGES = "libegl1 libgl1 libgles2 libegl-mesa0 libgl1-mesa-dri"
NO_GL = f"On Debian or Ubuntu: apt-get install -y {GL_PACKAGES}, with MUJOCO_GL=egl; then `oodbench doctor`"

try:
    import mujoco as _mujoco  # noqa: F401
except Exception as error:
    from oodbench.errors import RenderError

    backend = os.environ.get("MUJOCO_GL")
    raise RenderError(f"mujoco cannot be imported with MUJOCO_GL={backend} ({error}). {NO_GL}") from error
