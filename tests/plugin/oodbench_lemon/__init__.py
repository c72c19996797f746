"""One of everything that a package of one's own can add to oodbench; here are the folders of its data."""

from importlib.resources import files

_DATA = files(__name__) / "data"
TASKS = _DATA / "tasks"
OBJECTS = _DATA / "objects"
TEXTURES = _DATA / "textures"
GLYPHS = _DATA / "glyphs"
POOLS = _DATA / "pools"
SUITES = _DATA / "suites"
PRESETS = _DATA / "presets"
