"""Visual shifts of the sensors: what happens to pictures after the lens. sim/sensors.py does it.

What happens in a camera befalls both cameras, each with its own noise; fog and glare are outside, and befall the
third-person camera alone.
"""

from __future__ import annotations

import math

from oodbench.scene import Corruption, Scene
from oodbench.shift import Context, shift
from oodbench.spacing import reach

BOTH, THIRD_PERSON = ("image", "wrist_image"), ("image",)
ONSET = (20, 40)  # control steps between which a defect begins


def _corrupted(scene: Scene, *corruptions: Corruption) -> Scene:
    sensors = scene.sensors
    return scene.but(sensors=sensors.but(corruptions=(*sensors.corruptions, *corruptions)))


@shift(
    "visual.noise",
    channels=("sensors",),
    unit="standard deviation of Gaussian noise, evenly spaced up to 50 grey levels at 5; both cameras",
    source="LIBERO-plus (unseeded there); LIBERO-Infinity; LIBERO-CTRL (sensor); ImageNet-C",
    star_gen="V-AUG",
)
def noise(scene: Scene, context: Context) -> Scene:
    """The pictures are noisy, anew in every frame."""
    amount = 50 * reach("visual.noise", context.severity)
    return _corrupted(scene, Corruption(kind="noise", amount=amount, cameras=BOTH))


@shift(
    "visual.motion-blur",
    channels=("sensors",),
    unit="length of the blur, evenly spaced up to 10 % of the picture's width at 5; both cameras, random direction",
    source="LIBERO-plus (radius 5 to 35); LIBERO-CTRL; ImageNet-C",
    star_gen="V-AUG",
)
def motion_blur(scene: Scene, context: Context) -> Scene:
    """The pictures are smeared along one direction."""
    amount, angle = 10 * reach("visual.motion-blur", context.severity), context.rng.uniform(0, math.pi)
    return _corrupted(scene, Corruption(kind="motion-blur", amount=amount, cameras=BOTH, angle=angle))


@shift(
    "visual.defocus",
    channels=("sensors",),
    unit="standard deviation of the blur, evenly spaced up to 2.5 % of the picture's width at 5; both cameras",
    source="LIBERO-plus (sigma 1 to 10); REALM (sigma 0 to 3); ImageNet-C",
    star_gen="V-AUG",
)
def defocus(scene: Scene, context: Context) -> Scene:
    """The pictures are out of focus."""
    amount = 2.5 * reach("visual.defocus", context.severity)
    return _corrupted(scene, Corruption(kind="defocus", amount=amount, cameras=BOTH))


@shift(
    "visual.jpeg",
    channels=("sensors",),
    unit="compression, evenly spaced up to quality 4 at 5; both cameras",
    source="LIBERO-CTRL (jpeg); ImageNet-C",
    star_gen="V-AUG",
)
def jpeg(scene: Scene, context: Context) -> Scene:
    """The pictures are compressed until they show blocks."""
    amount = 30 + 66 * reach("visual.jpeg", context.severity)
    return _corrupted(scene, Corruption(kind="jpeg", amount=amount, cameras=BOTH))


@shift(
    "visual.exposure",
    channels=("sensors",),
    unit="stops too bright or too dark (one sign a seed), evenly spaced up to 1.8 or -3 at 5; both cameras",
    source="LIBERO-CTRL (EV); LIBERO-PRO (dark x0.42, glare)",
    star_gen="V-AUG",
)
def exposure(scene: Scene, context: Context) -> Scene:
    """The cameras expose wrongly."""
    most = 1.8 if context.rng.random() < 0.5 else -3.0
    amount = most * reach("visual.exposure", context.severity)
    return _corrupted(scene, Corruption(kind="exposure", amount=amount, cameras=BOTH))


@shift(
    "visual.contrast",
    channels=("sensors",),
    unit="share of the contrast and the colour that is gone, evenly spaced up to 85 % at 5; both cameras",
    source="REALM (contrast 0.5 to 2); VLA-Arena (contrast, saturation); ImageNet-C",
    star_gen="V-AUG",
)
def contrast(scene: Scene, context: Context) -> Scene:
    """The pictures are flat and pale."""
    amount = 0.85 * reach("visual.contrast", context.severity)
    return _corrupted(scene, Corruption(kind="contrast", amount=amount, cameras=BOTH))


@shift(
    "visual.glare",
    channels=("sensors",),
    unit="brightness of a light that shines into the third-person camera, evenly spaced; white at 5",
    source="LIBERO-PRO (glare, backlight)",
    star_gen="V-LIGHT",
)
def glare(scene: Scene, context: Context) -> Scene:
    """A light shines into the third-person camera."""
    amount, angle = reach("visual.glare", context.severity), context.rng.uniform(0, math.tau)
    return _corrupted(scene, Corruption(kind="glare", amount=amount, cameras=THIRD_PERSON, angle=angle))


@shift(
    "visual.fog",
    channels=("sensors",),
    unit="extinction coefficient, evenly spaced up to 2.2 / m at 5; the third-person camera, by the true depth",
    source="LIBERO-plus (fog); ImageNet-C",
    star_gen="V-SCENE",
)
def fog(scene: Scene, context: Context) -> Scene:
    """Fog fills the room: what is farther away is paler."""
    amount = 2.2 * reach("visual.fog", context.severity)
    return _corrupted(scene, Corruption(kind="fog", amount=amount, cameras=THIRD_PERSON))


@shift(
    "visual.dead-rows",
    channels=("sensors",),
    unit="share of the sensor's rows that are dead, evenly spaced up to 40 % at 5; both cameras, other rows in each",
    source="LIBERO-Infinity (sensor families)",
    star_gen="V-AUG",
)
def dead_rows(scene: Scene, context: Context) -> Scene:
    """Rows of the pictures are black, the same ones throughout."""
    amount = 40 * reach("visual.dead-rows", context.severity)
    return _corrupted(scene, Corruption(kind="dead-rows", amount=amount, cameras=BOTH))


def _overlay(scene: Scene, context: Context, kind: str) -> Scene:
    choices = [texture.name for texture in context.pool.all_textures() if texture.split == context.split]
    texture = choices[context.rng.integers(len(choices))]
    return _corrupted(scene, Corruption(kind=kind, amount=0.1 * context.severity, cameras=BOTH, texture=texture))


@shift(
    "visual.object-overlay",
    channels=("sensors",),
    unit="weight of an unseen texture over objects and robot: 0.1 a level; both cameras, it wanders with every frame",
    source="RL4VLA VisionTexture03 (weight 0.3, level 3) and VisionTexture05 (0.5, level 5)",
    star_gen="V-OBJ",
)
def object_overlay(scene: Scene, context: Context) -> Scene:
    """A texture flickers over the objects and the robot."""
    return _overlay(scene, context, "object-overlay")


@shift(
    "visual.image-overlay",
    channels=("sensors",),
    unit="weight of an unseen texture over the whole picture: 0.1 a level; both cameras, it wanders with every frame",
    source="RL4VLA VisionWhole03 (weight 0.3, level 3) and VisionWhole05 (0.5, level 5)",
    star_gen="V-AUG",
)
def image_overlay(scene: Scene, context: Context) -> Scene:
    """A texture flickers over the whole picture."""
    return _overlay(scene, context, "overlay")


@shift(
    "visual.sensor-onset",
    channels=("sensors",),
    unit="as visual.noise and visual.defocus at two thirds of this level, from a random control step in 20..40 on",
    source="LIBERO-MAX (sensor-noise onset)",
    star_gen="V-AUG",
)
def sensor_onset(scene: Scene, context: Context) -> Scene:
    """The cameras fail in mid-episode: first clear, then noisy and out of focus."""
    since = int(context.rng.integers(*ONSET))
    level = context.severity * 2 / 3
    return _corrupted(
        scene,
        Corruption(kind="defocus", amount=2.5 * reach("visual.defocus", level), cameras=BOTH, since=since),
        Corruption(kind="noise", amount=50 * reach("visual.noise", level), cameras=BOTH, since=since),
    )
