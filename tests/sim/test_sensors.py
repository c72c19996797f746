"""Sensor effects: seeded, from the first frame on, stronger with the amount, the same at every resolution."""

import runpy

import numpy as np
import pytest

from oodbench import spacing
from oodbench.errors import UnknownNameError
from oodbench.scene import Corruption
from oodbench.seeding import generator
from oodbench.shift import SHIFTS
from oodbench.sim import sensors
from oodbench.sim.sensors import EFFECTS, View
from oodbench.spacing import distance, even_levels, reach

AMOUNTS = {  # small, large
    "noise": (5, 40),
    "motion-blur": (2, 10),
    "defocus": (0.5, 2.5),
    "jpeg": (60, 96),
    "exposure": (-0.5, -2.5),
    "contrast": (0.2, 0.8),
    "glare": (0.2, 1.0),
    "fog": (0.3, 2.0),
    "dead-rows": (4, 40),
    "overlay": (0.1, 0.5),
    "object-overlay": (0.1, 0.5),
}


def _picture(size=128):
    y, x = np.mgrid[0 : 1 : size * 1j, 0 : 1 : size * 1j]
    stripes = 127 + 90 * np.sin(40 * x) * np.cos(25 * y)
    return np.stack([stripes, stripes.T, 255 * x], axis=-1).astype(np.uint8)


def _view(size=128, step=0):
    return View(
        frame=lambda name: generator(name, step),
        episode=generator,
        depth=lambda: np.linspace(0.5, 1.5, size * size, dtype=np.float32).reshape(size, size),
        things=lambda: np.tri(size, dtype=bool),
    )


def _corrupt(kind, amount, size=128, step=0):
    corruption = Corruption(kind=kind, amount=amount, cameras=("image",), angle=0.7, texture="red-gingham")
    return sensors.corrupt(_picture(size), corruption, _view(size, step))


def test_every_effect_is_tried_here():
    assert set(AMOUNTS) == set(EFFECTS.shipped_names())


@pytest.mark.parametrize("kind", AMOUNTS)
def test_an_effect_repeats_itself_and_grows(kind):
    small, large = AMOUNTS[kind]
    weak, strong = _corrupt(kind, small), _corrupt(kind, large)
    assert np.array_equal(weak, _corrupt(kind, small))
    assert weak.dtype == np.uint8
    assert weak.shape == (128, 128, 3)
    assert 0 < distance(_picture(), weak) < distance(_picture(), strong)


@pytest.mark.parametrize("kind", ["motion-blur", "defocus", "glare", "dead-rows", "contrast"])
def test_an_effect_looks_the_same_at_every_resolution(kind):
    small, big = _corrupt(kind, AMOUNTS[kind][1], 64), _corrupt(kind, AMOUNTS[kind][1], 256)
    shrunk = big.reshape(64, 4, 64, 4, 3).mean(axis=(1, 3))
    if kind == "dead-rows":  # which rows are dead depends on how many there are
        assert abs((small == 0).mean() - (big == 0).mean()) < 0.03
    else:
        assert np.abs(shrunk - small).mean() < 12


@pytest.mark.parametrize(("kind", "moves"), [("noise", True), ("overlay", True), ("dead-rows", False)])
def test_what_changes_from_frame_to_frame(kind, moves):
    first, second = (_corrupt(kind, AMOUNTS[kind][1], step=step) for step in (0, 1))
    assert np.array_equal(first, second) is not moves


def test_objects_only_means_objects_only():
    changed = (_corrupt("object-overlay", 0.5) != _picture()).any(axis=-1)
    assert not changed[~np.tri(128, dtype=bool)].any()
    assert changed[np.tri(128, dtype=bool)].mean() > 0.5


def test_an_unknown_effect_names_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'defocus'"):
        _corrupt("defocuss", 1.0)


def test_distance_is_0_for_equal_pictures_and_grows():
    picture = _picture()
    assert distance(picture, picture) == pytest.approx(0.0, abs=1e-9)
    assert 0.5 < distance(picture, 255 - picture) <= 2.0


def test_even_levels_undo_a_curve():
    """A distance that saturates gets small parameters first, so that every level is a fifth of the way."""
    x = np.linspace(0, 1, 21)[1:]
    levels = even_levels(np.sqrt(x))
    assert np.allclose(levels, [(i / 5) ** 2 for i in range(1, 6)], atol=0.02)
    assert levels[-1] == 1.0


def test_reach_goes_from_nothing_to_all():
    assert reach("visual.noise", 0.0) == 0.0
    assert reach("visual.noise", 5.0) == 1.0
    steps = [reach("visual.noise", level / 4) for level in range(21)]
    assert steps == sorted(steps)


def test_the_command_measures_by_the_module_that_shifts_ask(monkeypatch):
    """Run as a script, the module is there twice, and the shifts would keep to the levels of the last measurement."""
    called = []
    monkeypatch.setattr(spacing, "main", called.append)
    monkeypatch.setattr("sys.argv", ["spacing", "visual.fog"])
    runpy.run_path(spacing.__file__, run_name="__main__")
    assert called == [["visual.fog"]]


def test_measuring_the_spacing_keeps_the_table_until_the_new_one_is_there(tmp_path, monkeypatch):
    """A shift is measured with even levels; what was measured before stays, whatever goes wrong meanwhile."""
    name, table = "visual.fog", tmp_path / spacing.FILE
    names = [other for other in SHIFTS.names() if other.startswith("visual.") and other not in spacing.UNSPACED]
    table.write_text("".join(f'"{other}" = [0.1, 0.2, 0.3, 0.4, 1.0]\n' for other in names))
    monkeypatch.setattr(spacing, "data_dir", lambda what: tmp_path)
    spacing._table.cache_clear()
    before = table.read_text()
    seen = []

    def measure(shift, severities):
        seen.append((shift, reach(shift, 3.0), reach("visual.noise", 1.0)))
        if len(seen) == 1:
            raise KeyboardInterrupt
        return np.linspace(0.0, 1.0, len(severities))

    monkeypatch.setattr(spacing, "measure", measure)
    try:
        with pytest.raises(KeyboardInterrupt):
            spacing.main([name])
        assert table.read_text() == before
        assert reach(name, 3.0) == 0.3
        spacing.main([name])
        assert seen == [(name, pytest.approx(0.6), 0.1)] * 2
        assert reach(name, 3.0) == pytest.approx(0.6, abs=0.05)
        assert reach("visual.noise", 1.0) == 0.1
        assert [path.name for path in tmp_path.iterdir()] == [spacing.FILE]
    finally:
        spacing._table.cache_clear()
