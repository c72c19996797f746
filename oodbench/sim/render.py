"""Pictures of a model's state, off screen. One OpenGL context a process; one set of GPU buffers a compiled model."""

from __future__ import annotations

import atexit
import importlib
import os
import sys
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Literal

import mujoco
import numpy as np

from oodbench.errors import RenderError
from oodbench.scene import Scene, Surface
from oodbench.sim import NO_GL
from oodbench.sim.build import SURFACES, Built, face_image, surface_image

MAX_SIZE = 1024  # pixels
CONTEXTS = 6  # models whose buffers stay on the GPU

Kind = Literal["rgb", "depth", "segmentation"]


@dataclass(frozen=True)
class Quality:
    """How pictures are drawn. Reflections are always off.

    Attributes:
        samples: For antialiasing, 0 for none.
        shadow: Size of the shadow map in pixels, 0 for no shadows.
        quads: Into how many by how many quads a face of a box or plane is divided. One gives the same picture as more,
            but for highlights, which are computed at the corners.
        room: Whether floor and walls cast shadows too. All lamps are inside of them, and they fill the shadow map.
    """

    samples: int
    shadow: int
    quads: int = 1
    room: bool = False


QUALITIES = {"fast": Quality(0, 0), "standard": Quality(0, 448), "high": Quality(4, 4096, quads=4)}

_gl: Any = None


def backend() -> str:
    """The OpenGL that draws: what MUJOCO_GL says, else "egl" on a Linux without a display, else MuJoCo's choice, "".

    Not mujoco.GLContext, which MuJoCo chooses while it is imported: there, "" means a window system.
    """
    headless = sys.platform == "linux" and not os.environ.get("DISPLAY")
    return os.environ.get("MUJOCO_GL", "").strip().lower() or ("egl" if headless else "")


def make_current() -> None:
    """Make the process's OpenGL context current, creating it at first use. Raises RenderError with the way out.

    Called before every picture: other code in the process (robosuite's renderer, say) may have made its own current.
    """
    global _gl
    if _gl is not None:
        _gl.make_current()
        return
    try:
        name = backend()
        library = importlib.import_module(f"mujoco.{name}") if name in ("egl", "osmesa", "glfw") else mujoco
        context = library.GLContext(MAX_SIZE, MAX_SIZE)
        context.make_current()
    except Exception as error:
        raise RenderError(f"no OpenGL: {error}. {NO_GL}") from error
    _gl = context
    atexit.register(_release)


def _release() -> None:
    """Give the context back before the interpreter takes OpenGL apart."""
    global _gl
    try:
        _gl.free()
    except Exception:  # another renderer in the process (robosuite's) has taken the display with it
        _gl._context = None  # else its destructor tries once more, and prints a traceback
    _gl = None


def gl_info() -> dict[str, str]:
    """Vendor, renderer and version of the OpenGL in use."""
    make_current()
    from OpenGL import GL

    names = {"vendor": GL.GL_VENDOR, "renderer": GL.GL_RENDERER, "version": GL.GL_VERSION}
    return {key: (GL.glGetString(name) or b"").decode() for key, name in names.items()}


@dataclass
class _Buffers:
    built: Built  # kept alive, because the buffers are found by its id()
    context: mujoco.MjrContext
    drawn: mujoco.MjvScene
    size: int
    pictures: dict[str, Surface | str]  # what each texture shows: a surface, or a board's glyph


class Renderer:
    """Renders any built model. Keeps the GPU buffers of the last few."""

    def __init__(self, quality: str | Quality = "standard") -> None:
        self.quality = quality if isinstance(quality, Quality) else QUALITIES[quality]
        self._buffers: OrderedDict[int, _Buffers] = OrderedDict()
        self._option = mujoco.MjvOption()
        self._option.geomgroup[3] = 0  # collision shapes
        self._option.sitegroup[:] = 0
        self._perturb = mujoco.MjvPerturb()
        self._camera = mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED

    def render(
        self, built: Built, data: mujoco.MjData, scene: Scene, camera: str, size: int, kind: Kind = "rgb"
    ) -> np.ndarray:
        """One picture, upright.

        rgb: (size, size, 3) uint8. depth: (size, size) float32, metres along the optical axis. segmentation: (size,
        size) int32, geom ids, -1 for nothing.
        """
        mount = next((c.mount for c in scene.cameras if c.name == camera), None)
        if mount is None:
            raise RenderError(f"no camera {camera!r}; the scene has {', '.join(c.name for c in scene.cameras)}")
        if not 16 <= size <= MAX_SIZE:
            raise RenderError(f"image size {size}: must be between 16 and {MAX_SIZE} pixels")
        buffers = self._ready(built, scene, size)
        drawn = buffers.drawn
        self._camera.fixedcamid = built.model.camera(mount).id
        mujoco.mjv_updateScene(
            built.model, data, self._option, self._perturb, self._camera, mujoco.mjtCatBit.mjCAT_ALL, drawn
        )
        return self._draw(built, drawn, buffers.context, size, kind)

    def _draw(
        self, built: Built, drawn: mujoco.MjvScene, context: mujoco.MjrContext, size: int, kind: Kind
    ) -> np.ndarray:
        rect = mujoco.MjrRect(0, 0, size, size)
        flags = drawn.flags
        flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = 0
        flags[mujoco.mjtRndFlag.mjRND_SHADOW] = shadows = self.quality.shadow > 0 and kind == "rgb"
        if shadows and not self.quality.room:
            _cast_no_shadow_of_planes(drawn)
        flags[mujoco.mjtRndFlag.mjRND_SEGMENT] = flags[mujoco.mjtRndFlag.mjRND_IDCOLOR] = kind == "segmentation"
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, context)  # of this model, not of the last one
        mujoco.mjr_render(rect, drawn, context)
        if kind == "depth":
            depth = np.empty((size, size), np.float32)
            mujoco.mjr_readPixels(None, depth, rect, context)
            near, far = (x * built.model.stat.extent for x in (built.model.vis.map.znear, built.model.vis.map.zfar))
            return np.flipud(near / (1.0 - depth * (1.0 - near / far))).astype(np.float32)
        image = np.empty((size, size, 3), np.uint8)
        mujoco.mjr_readPixels(image, None, rect, context)
        if kind == "rgb":
            return np.ascontiguousarray(np.flipud(image))
        return self._geom_ids(drawn, np.flipud(image).astype(np.int32))

    @staticmethod
    def _geom_ids(drawn: mujoco.MjvScene, image: np.ndarray) -> np.ndarray:
        """Geom ids from the id colours that MuJoCo drew (0 is the background)."""
        segments = image[..., 0] + (image[..., 1] << 8) + (image[..., 2] << 16)
        table = np.full(drawn.ngeom + 1, -1, np.int32)
        for geom in drawn.geoms[: drawn.ngeom]:
            if geom.segid >= 0 and geom.objtype == mujoco.mjtObj.mjOBJ_GEOM:
                table[geom.segid + 1] = geom.objid
        return table[np.clip(segments, 0, drawn.ngeom)]

    def _ready(self, built: Built, scene: Scene, size: int) -> _Buffers:
        """GPU buffers that hold `built` and the scene's surfaces."""
        make_current()
        key = id(built)
        buffers = self._buffers.get(key)
        if buffers is None or size > buffers.size:
            buffers = self._upload(built, scene, max(size, 256))
        self._buffers.move_to_end(key)
        for name, picture in _pictures(scene).items():
            if buffers.pictures.get(name) != picture:
                texture = _fill(built.model, name, picture)
                mujoco.mjr_uploadTexture(built.model, buffers.context, texture)
                buffers.pictures[name] = picture
        return buffers

    def _upload(self, built: Built, scene: Scene, size: int) -> _Buffers:
        key = id(built)
        self._forget(key)
        while len(self._buffers) >= CONTEXTS:
            self._forget(next(iter(self._buffers)))
        model = built.model
        model.vis.global_.offwidth = model.vis.global_.offheight = size
        model.vis.quality.offsamples = self.quality.samples
        model.vis.quality.shadowsize = self.quality.shadow or 1
        model.vis.quality.numquads = self.quality.quads
        pictures = _pictures(scene)
        for name, picture in pictures.items():
            _fill(model, name, picture)
        context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_50)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, context)
        if context.currentBuffer != mujoco.mjtFramebuffer.mjFB_OFFSCREEN:
            raise RenderError("this OpenGL has no offscreen framebuffer; `oodbench doctor` says what to install")
        drawn = mujoco.MjvScene(model, maxgeom=max(256, 2 * model.ngeom))
        self._buffers[key] = _Buffers(built, context, drawn, size, pictures)
        return self._buffers[key]

    def _forget(self, key: int) -> None:
        if key in self._buffers:
            self._buffers.pop(key).context.free()


def _cast_no_shadow_of_planes(drawn: mujoco.MjvScene) -> None:
    for geom in drawn.geoms[: drawn.ngeom]:
        if geom.type == mujoco.mjtGeom.mjGEOM_PLANE:
            geom.category = mujoco.mjtCatBit.mjCAT_DECOR  # of which MuJoCo draws no shadow


def _pictures(scene: Scene) -> dict[str, Surface | str]:
    """By texture of the model: what the scene wants on it."""
    wanted: dict[str, Surface | str] = {name: getattr(scene.surfaces, name) for name in SURFACES}
    return wanted | {f"{item.id}/face": item.face for item in scene.objects if item.face}


def _fill(model: mujoco.MjModel, name: str, picture: Surface | str) -> int:
    """Write a picture into the model's texture of that name. Returns the texture's id."""
    texture = model.texture(name).id
    start = model.tex_adr[texture]
    image = surface_image(picture) if isinstance(picture, Surface) else face_image(picture)
    model.tex_data[start : start + image.size] = image.ravel()
    return texture
