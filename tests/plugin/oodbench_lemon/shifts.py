"""Three shifts: of how commands turn into motion, of pictures, and in mid-episode."""

from oodbench.scene import Corruption, Scene
from oodbench.shift import Context, shift
from oodbench_lemon.events import Whisper


@shift(
    "execution.sour-hand",
    channels=("actuation",),
    unit="constant pull of the hand to the left: 0.01 of the action range a level",
    source="the plug-in of oodbench's tests",
    star_gen="-",
)
def sour_hand(scene: Scene, context: Context) -> Scene:
    """The hand drifts to the left."""
    pull = (0.0, -0.01 * context.severity, 0.0, 0.0, 0.0, 0.0)
    return scene.but(actuation=scene.actuation.but(bias=pull))


@shift(
    "visual.haze",
    channels=("sensors",),
    unit="share of yellow in every picture: 10 % a level",
    source="the plug-in of oodbench's tests",
    star_gen="V-SC",
)
def haze(scene: Scene, context: Context) -> Scene:
    """Everything is seen through lemonade."""
    corruption = Corruption(kind="haze", amount=0.1 * context.severity, cameras=("image", "wrist_image"))
    return scene.but(sensors=scene.sensors.but(corruptions=(*scene.sensors.corruptions, corruption)))


@shift(
    "semantic.whisper",
    channels=("events",),
    unit="control step at which somebody speaks: 2 a level",
    source="the plug-in of oodbench's tests",
    star_gen="-",
)
def whisper(scene: Scene, context: Context) -> Scene:
    """Somebody speaks in between."""
    return scene.but(events=(*scene.events, Whisper(step=2 * context.level, words="psst:")))
