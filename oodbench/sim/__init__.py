"""From a scene to a world: MjModel building, control, rendering, predicates. Nothing outside needs MuJoCo to import."""

import os

from oodbench.errors import OodbenchError

GL_PACKAGES = "libegl1 libgl1 libgles2 libegl-mesa0 libgl1-mesa-dri"
NO_GL = f"On Debian or Ubuntu: apt-get install -y {GL_PACKAGES}, with MUJOCO_GL=egl; then `oodbench doctor`"


def _import_mujoco() -> None:
    """Import MuJoCo, without OpenGL where there is none: worlds are played all the same.

    MuJoCo looks for the OpenGL that MUJOCO_GL names while it is imported, and fails with it. sim/render.py says what
    is missing when a picture is wanted.
    """
    try:
        import mujoco
    except Exception:
        wanted = os.environ.get("MUJOCO_GL")
        os.environ["MUJOCO_GL"] = "off"
        try:
            import mujoco  # noqa: F401
        except Exception as error:
            raise OodbenchError(f"mujoco cannot be imported ({error}); pip install mujoco") from error
        finally:
            del os.environ["MUJOCO_GL"]
            if wanted is not None:
                os.environ["MUJOCO_GL"] = wanted


_import_mujoco()
