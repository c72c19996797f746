"""The pictures on boards: shapes, signs, symbols, drawn from geometry. Which there are is said in assets/glyphs/."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from oodbench.catalogue import GLYPHS
from oodbench.errors import AssetError, nearest
from oodbench.registry import Registry

Colour = str | tuple[int, int, int]
Points = list[tuple[float, float]]
Draw = Callable[["_Pen", str], None]

INK, RED, BLUE, GREEN, YELLOW, GREY = "#16181d", "#c8161d", "#1457a8", "#138a3e", "#f4c20d", "#8b9097"
COLOURS: dict[str, str] = {
    "red": "#d3202a",
    "green": "#1f9a43",
    "blue": "#1f5fc4",
    "yellow": "#f5cf19",
    "orange": "#f28a14",
    "purple": "#7d32a8",
    "pink": "#f58bbd",
    "brown": "#7c4a21",
    "black": "#17181a",
    "grey": "#8f9499",
}
CONCEPTS: Registry[Draw] = Registry("glyph drawing")


@lru_cache(maxsize=512)
def render(face: str, size: int = 128) -> np.ndarray:
    """The picture of ``<concept>/<name>`` or ``<concept>/<name>/<colour>``, (size, size, 3) uint8, upright.

    Raises AssetError or UnknownNameError for what does not exist.
    """
    concept, _, name = face.partition("/")
    base = name.split("/")[0]
    known = [glyph.name for glyph in GLYPHS.get(concept).glyph]
    if base not in known:
        near = nearest(base, known)
        raise AssetError(f"glyph {face!r}: there is none" + (f"; did you mean {concept}/{near}?" if near else ""))
    pen = _Pen()
    CONCEPTS.get(concept)(pen, name)
    picture = np.asarray(pen.image.resize((size, size), Image.Resampling.LANCZOS)).copy()
    picture.flags.writeable = False
    return picture


class _Pen:
    """Draws in a square from (0, 0), top left, to (1, 1) on white."""

    SIZE = 512

    def __init__(self) -> None:
        self.image = Image.new("RGB", (self.SIZE, self.SIZE), "white")
        self._draw = ImageDraw.Draw(self.image)

    def disc(self, x: float, y: float, r: float, fill: Colour | None, line: Colour | None = None, w: float = 0) -> None:
        self.oval(x, y, r, r, fill, line, w)

    def oval(
        self, x: float, y: float, rx: float, ry: float, fill: Colour | None, line: Colour | None = None, w: float = 0
    ) -> None:
        box = [self.SIZE * v for v in (x - rx, y - ry, x + rx, y + ry)]
        self._draw.ellipse(box, fill=fill, outline=line, width=round(w * self.SIZE))

    def polygon(self, points: Points, fill: Colour | None, line: Colour | None = None, w: float = 0) -> None:
        scaled = [(self.SIZE * x, self.SIZE * y) for x, y in points]
        if fill is not None:
            self._draw.polygon(scaled, fill=fill)
        if line is not None:
            self.line([*points, points[0]], line, w)

    def box(
        self, x: float, y: float, rx: float, ry: float, fill: Colour | None, line: Colour | None = None, w: float = 0
    ) -> None:
        self.polygon([(x - rx, y - ry), (x + rx, y - ry), (x + rx, y + ry), (x - rx, y + ry)], fill, line, w)

    def line(self, points: Points, fill: Colour, w: float) -> None:
        """A polyline with round ends and corners."""
        width = round(w * self.SIZE)
        scaled = [(self.SIZE * x, self.SIZE * y) for x, y in points]
        self._draw.line(scaled, fill=fill, width=width, joint="curve")
        for x, y in scaled:
            self._draw.ellipse([x - width / 2, y - width / 2, x + width / 2, y + width / 2], fill=fill)

    def arc(self, x: float, y: float, r: float, start: float, end: float, fill: Colour, w: float) -> None:
        """Degrees, clockwise from the right."""
        angles = [math.radians(angle) for angle in np.linspace(start, end, 40)]
        self.line([(x + r * math.cos(a), y + r * math.sin(a)) for a in angles], fill, w)

    def text(self, x: float, y: float, text: str, height: float, fill: Colour = INK) -> None:
        """Bold, centred at (x, y)."""
        font = ImageFont.load_default(size=height * self.SIZE)
        at, width = (self.SIZE * x, self.SIZE * y), max(1, round(0.035 * height * self.SIZE))
        self._draw.text(at, text, fill=fill, font=font, anchor="mm", stroke_width=width, stroke_fill=fill)

    def regular(self, sides: int, r: float, fill: Colour, turn: float = -90.0, x: float = 0.5, y: float = 0.5) -> None:
        """A regular polygon with a corner at `turn` degrees."""
        angles = [math.radians(turn + 360 * i / sides) for i in range(sides)]
        self.polygon([(x + r * math.cos(a), y + r * math.sin(a)) for a in angles], fill)

    def arrow(
        self, angle: float, fill: Colour, length: float = 0.4, thick: float = 0.11, x: float = 0.5, y: float = 0.5
    ) -> None:
        """An arrow through (x, y) that points `angle` degrees, clockwise from the right."""
        c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        shape = [(-length, -thick), (0.1, -thick), (0.1, -2.4 * thick), (length, 0)]
        shape += [(0.1, 2.4 * thick), (0.1, thick), (-length, thick)]
        self.polygon([(x + c * u - s * v, y + s * u + c * v) for u, v in shape], fill)

    def cross_out(self, colour: Colour = INK) -> None:
        self.line([(0.12, 0.12), (0.88, 0.88)], colour, 0.07)
        self.line([(0.88, 0.12), (0.12, 0.88)], colour, 0.07)


def glyph_drawing(concept: str) -> Callable[[Draw], Draw]:
    """Register the decorated function as what draws the glyphs of a concept.

    It is given a pen, which draws in a square from (0, 0), top left, to (1, 1) on white, and "<name>" or
    "<name>/<colour or variant>".

    Args:
        concept: The name of the glyph set.

    Raises:
        SpecError: There is a drawing for it.
    """
    return lambda draw: CONCEPTS.add(concept, draw)


@glyph_drawing("shape")
def _shape(pen: _Pen, name: str) -> None:
    kind, _, colour = name.partition("/")
    fill = COLOURS[colour or "blue"]
    match kind:
        case "circle":
            pen.disc(0.5, 0.5, 0.38, fill)
        case "square":
            pen.box(0.5, 0.5, 0.34, 0.34, fill)
        case "triangle":
            pen.regular(3, 0.46, fill, y=0.57)
        case "diamond":
            pen.polygon([(0.5, 0.06), (0.8, 0.5), (0.5, 0.94), (0.2, 0.5)], fill)
        case "pentagon":
            pen.regular(5, 0.42, fill)
        case "hexagon":
            pen.regular(6, 0.42, fill, 0.0)
        case "oval":
            pen.oval(0.5, 0.5, 0.42, 0.25, fill)
        case "rectangle":
            pen.box(0.5, 0.5, 0.42, 0.21, fill)
        case "star":
            radii = [0.45, 0.18] * 5
            turns = [math.radians(-90 + 36 * i) for i in range(10)]
            pen.polygon(
                [(0.5 + r * math.cos(a), 0.52 + r * math.sin(a)) for r, a in zip(radii, turns, strict=True)],
                fill,
            )
        case "heart":
            pen.disc(0.31, 0.36, 0.2, fill)
            pen.disc(0.69, 0.36, 0.2, fill)
            pen.polygon([(0.135, 0.46), (0.865, 0.46), (0.5, 0.9)], fill)
        case "cross":
            pen.box(0.5, 0.5, 0.38, 0.13, fill)
            pen.box(0.5, 0.5, 0.13, 0.38, fill)
        case "crescent":
            pen.disc(0.46, 0.5, 0.38, fill)
            pen.disc(0.62, 0.42, 0.31, "white")
        case "ring":
            pen.disc(0.5, 0.5, 0.38, fill)
            pen.disc(0.5, 0.5, 0.21, "white")


@glyph_drawing("color")
def _color(pen: _Pen, name: str) -> None:
    pen.box(0.5, 0.5, 0.5, 0.5, COLOURS[name])


@glyph_drawing("number")
def _number(pen: _Pen, name: str) -> None:
    pen.text(0.5, 0.5, name, 0.85)


@glyph_drawing("parity")
def _parity(pen: _Pen, name: str) -> None:
    pen.text(0.5, 0.5, name.partition("/")[2], 0.85)


@glyph_drawing("letter")
def _letter(pen: _Pen, name: str) -> None:
    pen.text(0.5, 0.5, name.upper(), 0.8)


@glyph_drawing("count")
def _count(pen: _Pen, name: str) -> None:
    a, b, c = 0.24, 0.5, 0.76
    spots = {
        "1": [(b, b)],
        "2": [(a, a), (c, c)],
        "3": [(a, a), (b, b), (c, c)],
        "4": [(a, a), (a, c), (c, a), (c, c)],
        "5": [(a, a), (a, c), (c, a), (c, c), (b, b)],
        "6": [(a, a), (a, b), (a, c), (c, a), (c, b), (c, c)],
    }
    for x, y in spots[name]:
        pen.disc(x, y, 0.1, INK)


@glyph_drawing("arrow")
def _arrow(pen: _Pen, name: str) -> None:
    pen.arrow({"right": 0, "down": 90, "left": 180, "up": 270}[name], INK)


@glyph_drawing("traffic")
def _traffic(pen: _Pen, name: str) -> None:
    match name:
        case "stop":
            pen.regular(8, 0.48, RED, 22.5)
            pen.text(0.5, 0.5, "STOP", 0.27, "white")
        case "yield":
            pen.polygon([(0.04, 0.1), (0.96, 0.1), (0.5, 0.92)], RED)
            pen.polygon([(0.21, 0.2), (0.79, 0.2), (0.5, 0.71)], "white")
        case "no-entry":
            pen.disc(0.5, 0.5, 0.46, RED)
            pen.box(0.5, 0.5, 0.32, 0.09, "white")
        case "speed-limit":
            pen.disc(0.5, 0.5, 0.46, "white", RED, 0.09)
            pen.text(0.5, 0.5, "50", 0.46)
        case "danger":
            pen.polygon([(0.5, 0.06), (0.97, 0.9), (0.03, 0.9)], RED)
            pen.polygon([(0.5, 0.24), (0.82, 0.81), (0.18, 0.81)], "white")
            pen.line([(0.5, 0.42), (0.5, 0.62)], INK, 0.08)
            pen.disc(0.5, 0.74, 0.045, INK)
        case "priority":
            pen.polygon([(0.5, 0.02), (0.98, 0.5), (0.5, 0.98), (0.02, 0.5)], "white", INK, 0.02)
            pen.polygon([(0.5, 0.18), (0.82, 0.5), (0.5, 0.82), (0.18, 0.5)], YELLOW)
        case "no-parking":
            pen.disc(0.5, 0.5, 0.46, BLUE, RED, 0.09)
            pen.line([(0.22, 0.22), (0.78, 0.78)], RED, 0.09)
        case "one-way":
            pen.box(0.5, 0.5, 0.46, 0.27, BLUE)
            pen.arrow(0, "white", 0.36, 0.07)
        case "roundabout":
            pen.disc(0.5, 0.5, 0.46, BLUE)
            for start in (0, 120, 240):
                pen.arc(0.5, 0.5, 0.25, start, start + 75, "white", 0.07)
                a = math.radians(start + 88)
                x, y = 0.5 + 0.25 * math.cos(a), 0.5 + 0.25 * math.sin(a)
                pen.regular(3, 0.1, "white", start + 178, x, y)
        case "traffic-light":
            pen.box(0.5, 0.5, 0.19, 0.46, INK)
            for y, colour in ((0.2, "#e8212b"), (0.5, "#f5c518"), (0.8, "#22b04b")):
                pen.disc(0.5, y, 0.115, colour)


def _cloud(pen: _Pen, y: float = 0.5, colour: Colour = GREY) -> None:
    for x, dy, r in ((0.3, 0.04, 0.15), (0.48, -0.08, 0.2), (0.7, 0.03, 0.16)):
        pen.disc(x, y + dy, r, colour)
    pen.box(0.5, y + 0.12, 0.2, 0.07, colour)


def _sun(pen: _Pen, x: float, y: float, r: float) -> None:
    for i in range(8):
        c, s = math.cos(math.pi * i / 4), math.sin(math.pi * i / 4)
        pen.line([(x + 1.35 * r * c, y + 1.35 * r * s), (x + 1.9 * r * c, y + 1.9 * r * s)], YELLOW, 0.045)
    pen.disc(x, y, r, YELLOW)


@glyph_drawing("weather")
def _weather(pen: _Pen, name: str) -> None:
    match name:
        case "sunny":
            _sun(pen, 0.5, 0.5, 0.22)
        case "cloudy":
            _cloud(pen)
        case "partly-cloudy":
            _sun(pen, 0.63, 0.36, 0.16)
            _cloud(pen, 0.62)
        case "rainy":
            _cloud(pen, 0.36)
            for x in (0.3, 0.5, 0.7):
                pen.line([(x, 0.62), (x - 0.07, 0.86)], BLUE, 0.05)
        case "snowy":
            _cloud(pen, 0.32)
            for x, y in ((0.28, 0.68), (0.5, 0.8), (0.72, 0.68)):
                for turn in range(3):
                    c, s = 0.09 * math.cos(math.pi * turn / 3), 0.09 * math.sin(math.pi * turn / 3)
                    pen.line([(x - c, y - s), (x + c, y + s)], "#49a8e0", 0.028)
        case "thunderstorm":
            _cloud(pen, 0.34, "#5b6068")
            bolt = [(0.56, 0.5), (0.38, 0.74), (0.5, 0.74), (0.42, 0.96), (0.66, 0.66), (0.53, 0.66), (0.62, 0.5)]
            pen.polygon(bolt, YELLOW)
        case "clear-night":
            pen.disc(0.46, 0.5, 0.36, "#2b3a67")
            pen.disc(0.6, 0.42, 0.3, "white")
            for x, y in ((0.74, 0.3), (0.62, 0.5), (0.8, 0.6)):
                pen.regular(4, 0.055, YELLOW, -90, x, y)
        case "windy":
            for y, long in ((0.32, 0.7), (0.5, 0.82), (0.68, 0.62)):
                pen.line([(0.12, y), (long, y)], GREY, 0.06)
                pen.arc(long, y - 0.08, 0.08, -120, 90, GREY, 0.06)
        case "foggy":
            for i, y in enumerate((0.26, 0.42, 0.58, 0.74)):
                pen.line([(0.12 + 0.08 * (i % 2), y), (0.8 + 0.08 * (i % 2), y)], GREY, 0.075)


@glyph_drawing("public")
def _public(pen: _Pen, name: str) -> None:
    if name not in ("no-smoking", "first-aid"):
        pen.box(0.5, 0.5, 0.46, 0.46, BLUE)
    match name:
        case "information":
            pen.disc(0.5, 0.22, 0.075, "white")
            pen.line([(0.5, 0.42), (0.5, 0.8)], "white", 0.13)
        case "parking":
            pen.text(0.5, 0.5, "P", 0.78, "white")
        case "first-aid":
            pen.box(0.5, 0.5, 0.46, 0.46, GREEN)
            pen.box(0.5, 0.5, 0.3, 0.1, "white")
            pen.box(0.5, 0.5, 0.1, 0.3, "white")
        case "no-smoking":
            pen.box(0.42, 0.5, 0.27, 0.055, INK)
            pen.box(0.74, 0.5, 0.05, 0.055, "#f28a14")
            pen.arc(0.78, 0.36, 0.07, 90, 270, GREY, 0.03)
            pen.disc(0.5, 0.5, 0.46, None, RED, 0.09)
            pen.line([(0.2, 0.2), (0.8, 0.8)], RED, 0.09)
        case "restaurant":
            pen.line([(0.36, 0.2), (0.36, 0.82)], "white", 0.06)
            for x in (0.27, 0.36, 0.45):
                pen.line([(x, 0.16), (x, 0.36)], "white", 0.035)
            pen.line([(0.27, 0.38), (0.45, 0.38)], "white", 0.05)
            pen.line([(0.66, 0.5), (0.66, 0.82)], "white", 0.06)
            pen.oval(0.64, 0.34, 0.075, 0.2, "white")
        case "wifi":
            pen.disc(0.5, 0.76, 0.06, "white")
            for r in (0.18, 0.34, 0.5):
                pen.arc(0.5, 0.78, r, 225, 315, "white", 0.06)
        case "stairs":
            steps = [(0.16, 0.8), (0.16, 0.66), (0.34, 0.66), (0.34, 0.52), (0.52, 0.52), (0.52, 0.38)]
            pen.line([*steps, (0.7, 0.38), (0.7, 0.24), (0.86, 0.24)], "white", 0.06)
        case "elevator":
            pen.box(0.5, 0.5, 0.27, 0.36, None, "white", 0.045)
            pen.arrow(270, "white", 0.16, 0.035, 0.4, 0.5)
            pen.arrow(90, "white", 0.16, 0.035, 0.6, 0.5)
        case "telephone":
            pen.line([(0.26, 0.28), (0.34, 0.52), (0.5, 0.68), (0.74, 0.76)], "white", 0.12)
            pen.disc(0.28, 0.3, 0.1, "white")
            pen.disc(0.72, 0.74, 0.1, "white")
        case "toilet":
            pen.disc(0.32, 0.22, 0.075, "white")
            pen.box(0.32, 0.46, 0.1, 0.14, "white")
            pen.line([(0.28, 0.58), (0.28, 0.82)], "white", 0.07)
            pen.line([(0.36, 0.58), (0.36, 0.82)], "white", 0.07)
            pen.disc(0.68, 0.22, 0.075, "white")
            pen.polygon([(0.68, 0.3), (0.84, 0.66), (0.52, 0.66)], "white")
            pen.line([(0.64, 0.62), (0.64, 0.82)], "white", 0.06)
            pen.line([(0.72, 0.62), (0.72, 0.82)], "white", 0.06)
            pen.line([(0.5, 0.14), (0.5, 0.86)], "white", 0.02)


def _tub(pen: _Pen) -> None:
    pen.line([(0.08, 0.26), (0.2, 0.84), (0.8, 0.84), (0.92, 0.26)], INK, 0.055)
    wave = [(0.08 + 0.84 * t, 0.34 + 0.035 * math.sin(6 * math.pi * t)) for t in np.linspace(0, 1, 40)]
    pen.line(wave, INK, 0.045)


@glyph_drawing("laundry")
def _laundry(pen: _Pen, name: str) -> None:
    match name.removeprefix("no-"):
        case "wash":
            _tub(pen)
            if name == "wash":
                pen.text(0.5, 0.6, "40", 0.3)
        case "hand-wash":
            _tub(pen)
            pen.line([(0.66, 0.1), (0.5, 0.5), (0.34, 0.62)], INK, 0.1)
            for dx in (0.0, 0.08, 0.16):
                pen.line([(0.5, 0.52), (0.36 + dx, 0.68)], INK, 0.05)
        case "bleach":
            pen.polygon([(0.5, 0.1), (0.93, 0.86), (0.07, 0.86)], None, INK, 0.055)
        case "iron":
            pen.line([(0.08, 0.78), (0.92, 0.78), (0.86, 0.46), (0.34, 0.46), (0.08, 0.78)], INK, 0.055)
            pen.line([(0.4, 0.46), (0.42, 0.26), (0.78, 0.26), (0.85, 0.46)], INK, 0.055)
        case "tumble-dry":
            pen.box(0.5, 0.5, 0.4, 0.4, None, INK, 0.055)
            pen.disc(0.5, 0.5, 0.32, None, INK, 0.055)
        case "dry-clean":
            pen.disc(0.5, 0.5, 0.42, None, INK, 0.055)
            if name == "dry-clean":
                pen.text(0.5, 0.5, "P", 0.45)
        case "line-dry":
            pen.box(0.5, 0.5, 0.4, 0.4, None, INK, 0.055)
            pen.arc(0.5, -0.06, 0.42, 20, 160, INK, 0.055)
        case "flat-dry":
            pen.box(0.5, 0.5, 0.4, 0.4, None, INK, 0.055)
            pen.line([(0.24, 0.5), (0.76, 0.5)], INK, 0.06)
    if name.startswith("no-"):
        pen.cross_out()
