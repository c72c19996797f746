"""A scene: the whole description of one episode, as plain frozen data. Sampling lives in task.py, shifting in shift.py.

Frame: the origin is the centre of the table top, x points away from the robot, y to its left, z up. Metres, radians,
kilograms, seconds. Colours are linear 0..1. Every real number is rounded to 1e-6, so that a scene and its hash do not
depend on the last bit of a machine's trigonometry.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SerializeAsAny

from oodbench.registry import Registry

if TYPE_CHECKING:
    from oodbench.sim.world import World

Real = Annotated[float, AfterValidator(lambda x: round(x, 6) + 0.0)]  # + 0.0 turns -0.0 into 0.0
Vec3 = tuple[Real, Real, Real]
RGB = Vec3


class Part(BaseModel):
    """Base of every part of a scene: frozen, strict about names, finite numbers only."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def but(self, **changes: Any) -> Self:
        """A copy with some fields replaced, validated like the original."""
        return type(self).model_validate({**dict(self), **changes})


class Key(Part):
    """What names an episode's random streams: the suite's namespace, the task and the episode's seed."""

    namespace: str
    task: str
    seed: int = Field(ge=0)


class Instruction(Part):
    """What the policy is told when the episode begins."""

    text: str
    wording: str  # the template that `text` was made from, e.g. "put the {target} on the {receptacle}"
    informative: bool = True  # whether the words tell what to do; the language controls take that away


class Stage(Part):
    """A step on the way to success, and the condition that shows it was reached."""

    name: str
    condition: str


class Goal(Part):
    """What counts as done: conditions such as ``on(target, receptacle)`` (see oodbench/goal.py), all of which hold.

    manipulated: the objects that the robot must handle. stages: in the order in which they are expected. released:
    whether "settled" asks for empty fingers. habit: what a policy that ignores the instruction would do instead, where
    that differs. options: the conditions between which the instruction chooses, one of them the goal.
    """

    manipulated: tuple[str, ...]
    success: tuple[str, ...]
    stages: tuple[Stage, ...]
    released: bool = True
    habit: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


class Object(Part):
    """One object on the table. Its own frame has the origin at the centre of its base, z up."""

    id: str  # its role: "target", "receptacle", "distractor-1"
    asset: str  # assets/objects/<asset>.toml
    position: Vec3
    yaw: Real = 0.0
    joint: Real = Field(0.0, ge=0.0, le=1.0)  # drawers, buttons, knobs: initial position, as a share of the range
    tint: RGB = (1.0, 1.0, 1.0)  # multiplies the colours of the asset
    face: str | None = None  # boards: the glyph that they show, "<concept>/<name>" (see assets/glyphs)


class Surface(Part):
    """What covers one of the room's surfaces."""

    texture: str  # assets/textures/<texture>.toml


class Surfaces(Part):
    table: Surface
    floor: Surface
    wall: Surface


class Lamp(Part):
    """A directional light: `direction` is the way its rays travel."""

    direction: Vec3
    diffuse: RGB
    specular: RGB = (0.3, 0.3, 0.3)
    shadow: bool = True


class Lights(Part):
    ambient: RGB
    lamps: tuple[Lamp, ...] = Field(max_length=4)


class Camera(Part):
    """A pinhole camera. `mount` is "world" or "hand"; positions are in the frame of the mount."""

    name: str
    mount: Literal["world", "hand"]
    position: Vec3
    target: Vec3  # the point in the centre of the picture
    up: Vec3
    fovy: Real  # vertical field of view (degrees)


class Corruption(Part):
    """Something that happens to pictures; sim/sensors.py says what `amount` means for each kind."""

    kind: str
    amount: Real
    cameras: tuple[str, ...]  # those that it befalls
    since: int = 0  # control step from which on
    angle: Real = 0.0  # of motion blur (rad), where it matters
    texture: str | None = None  # of overlays


class Sensors(Part):
    """What happens to observations between the world and the policy."""

    corruptions: tuple[Corruption, ...] = ()  # in the order in which they are applied
    state_noise: Real = 0.0  # standard deviation, added to the proprioceptive state (m and rad alike)
    delay: int = Field(0, ge=0)  # age of every observation (control steps)
    loss: Real = Field(
        0.0, ge=0.0, lt=1.0
    )  # probability that an observation does not arrive, so that the last one stays


class Robot(Part):
    name: str
    qpos: tuple[Real, ...]  # initial arm joint positions (rad)
    opening: Real = 0.08  # initial distance between the fingers (m)
    mount: Vec3 = (0.0, 0.0, 0.0)  # offset of the base from where the robot's file puts it (m)
    tint: RGB = (1.0, 1.0, 1.0)


class Dynamics(Part):
    """Multipliers of the assets' own values, except where a unit is given."""

    object_mass: Real = Field(1.0, gt=0.0)
    object_friction: Real = Field(1.0, gt=0.0)
    joint_damping: Real = Field(0.0, ge=0.0)  # added to every arm joint (N m s / rad)
    joint_stiffness: Real = Field(1.0, gt=0.0)  # of the arm's position servos
    grip_force: Real = Field(1.0, gt=0.0)


class Actuation(Part):
    """What happens to actions between the policy and the controller."""

    gain: Real = 1.0  # multiplies the six motion components
    bias: tuple[Real, Real, Real, Real, Real, Real] = (0.0,) * 6  # added to them
    noise: Real = 0.0  # standard deviation of what is added to them
    frame: Real = 0.0  # angle about z by which the commands' frame is turned against the robot's (rad)
    lag: Real = Field(0.0, ge=0.0, lt=1.0)  # share of the last motion that stays in the next: a first-order filter
    loss: Real = Field(0.0, ge=0.0, lt=1.0)  # probability that an action is lost: no motion, the gripper stays


class Timing(Part):
    horizon: int = Field(gt=0)  # control steps after which the episode ends
    action_delay: int = Field(0, ge=0)  # control steps between an action and its effect
    control_hz: Real = Field(20.0, gt=0.0, le=100.0)  # control steps a second


class Event(Part):
    """Something that happens at the start of control step `step`. Each kind of event is a subclass, see `event`.

    near: an object; then it happens as soon as the gripper is within 9 cm of where that is to be held, and at `step` at
    the latest (as LIBERO-PRO's trigger).
    """

    kind: str
    step: int = Field(ge=0)
    near: str | None = None

    def happen(self, world: World) -> None:
        """Make it happen in a world that plays this scene; the kinds of this package are played by the World itself."""
        raise NotImplementedError


EVENTS: Registry[type[Event]] = Registry("event", of=type)
SomeEvent = TypeVar("SomeEvent", bound=Event)


def event(kind: type[SomeEvent]) -> type[SomeEvent]:
    """Register the decorated subclass of Event, with a field ``kind: Literal["..."] = "..."``, under that name.

    Raises:
        SpecError: The name is taken.
    """
    EVENTS.add(kind.model_fields["kind"].default, kind)
    return kind


def _event(value: Any) -> Any:
    """An event of the kind that its data name."""
    return EVENTS.get(str(value.get("kind"))).model_validate(value) if isinstance(value, dict) else value


@event
class Move(Event):
    """An object is put elsewhere by hand."""

    kind: Literal["move"] = "move"
    object: str
    position: Vec3
    yaw: Real


@event
class Push(Event):
    """An object, or the robot's hand, is pushed: `impulse` in N s, world frame."""

    kind: Literal["push"] = "push"
    object: str  # or "hand"
    impulse: Vec3


@event
class Say(Event):
    """The instruction changes."""

    kind: Literal["say"] = "say"
    text: str


@event
class Restage(Event):
    """The light, the view or the surfaces change; what is None stays."""

    kind: Literal["restage"] = "restage"
    lights: Lights | None = None
    cameras: tuple[Camera, ...] | None = None
    surfaces: Surfaces | None = None


AnyEvent = Annotated[SerializeAsAny[Event], BeforeValidator(_event)]


class Scene(Part):
    """One episode: where it starts, what happens to it, what is asked and what counts.

    Every field but `key` is a channel: the unit in which a shift declares what it may touch.
    """

    key: Key
    instruction: Instruction
    goal: Goal
    objects: tuple[Object, ...]
    surfaces: Surfaces
    lights: Lights
    cameras: tuple[Camera, ...]
    sensors: Sensors = Sensors()
    robot: Robot
    dynamics: Dynamics = Dynamics()
    actuation: Actuation = Actuation()
    timing: Timing
    events: tuple[AnyEvent, ...] = ()

    def object(self, id: str) -> Object:
        """The object in role `id`. Raises KeyError."""
        for item in self.objects:
            if item.id == id:
                return item
        raise KeyError(id)

    def replace_object(self, id: str, **changes: Any) -> Scene:
        """This scene with fields of one object replaced."""
        return self.but(objects=tuple(o.but(**changes) if o.id == id else o for o in self.objects))

    def canonical_json(self) -> str:
        """The one JSON text of this scene: sorted keys, no spaces, shortest round-trip numbers."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=True)

    @property
    def sha256(self) -> str:
        """Hash of this description, 64 hexadecimal digits; an episode's identity is its closure (closure.py)."""
        return hashlib.sha256(self.canonical_json().encode()).hexdigest()


CHANNELS: tuple[str, ...] = tuple(name for name in Scene.model_fields if name != "key")


def changed_channels(a: Scene, b: Scene) -> set[str]:
    """The channels in which two scenes differ."""
    return {name for name in CHANNELS if getattr(a, name) != getattr(b, name)}
