"""Unseen surfaces come in the order of their measured distance from training, in even steps, one fifth a level."""

import itertools
import math
import shutil

import numpy as np
import pytest
from scipy import ndimage

from oodbench import closure, surfaces
from oodbench.catalogue import TEXTURES
from oodbench.errors import SpecError
from oodbench.paths import data_dir
from oodbench.pool import Pool, standard
from oodbench.shift import SHIFTS
from oodbench.sim import textures
from oodbench.sim.world import World
from oodbench.spacing import distance
from oodbench.surfaces import SURFACES, cielab, difference, distances, near, windows
from oodbench.task import TASKS

UNSEEN = ("dev", "test")
NOTICED = 2.3  # a colour difference that is just noticed
WORN = {"visual.table-texture": ("table",), "visual.background": ("floor", "wall")}


@pytest.mark.parametrize("split", UNSEEN)
@pytest.mark.parametrize("surface", SURFACES)
def test_levels_are_bands_of_several_textures_in_even_steps_of_distance(surface, split):
    bands = [near(standard(), surface, split, float(level)) for level in range(1, 6)]
    assert min(map(len, bands)) >= {"dev": 2, "test": 3}[split]
    assert {texture.split for band in bands for texture in band} == {split}
    found = np.array(distances(standard(), surface, split))
    assert np.abs(found / found[-1] - np.arange(1, 6) / 5).max() < {"dev": 0.1, "test": 0.06}[split]
    assert bands[-1][-1] == max(standard().textures_of(surface, split), key=lambda t: t.novelty[surface])


@pytest.mark.parametrize("split", UNSEEN)
@pytest.mark.parametrize("surface", SURFACES)
def test_the_same_place_never_comes_nearer_to_training_as_severity_grows(surface, split):
    rows = [
        [texture.novelty[surface] for texture in near(standard(), surface, split, severity)]
        for severity in (1e-9, *np.linspace(0.05, 5, 100))
    ]
    assert (np.diff(np.array(rows), axis=0) >= 0).all()


@pytest.mark.parametrize("name", WORN)
def test_what_scenes_wear_is_farther_at_every_level_by_more_than_chance(name):
    task, shift = TASKS.get("put-on"), SHIFTS.get(name)
    plain = [task.sample(seed) for seed in range(60)]
    for surface in WORN[name]:
        worn = np.array(
            [
                [TEXTURES.get(_worn(shift(scene, level, task=task), surface)).novelty[surface] for scene in plain]
                for level in (1.0, 2.0, 3.0, 4.0, 5.0)
            ]
        )
        assert all(len(set(level)) >= 3 for level in worn)
        error = worn.std(axis=1) / math.sqrt(len(plain))
        assert (np.diff(worn.mean(axis=1)) > 3 * np.sqrt(error[1:] ** 2 + error[:-1] ** 2)).all()


def _worn(scene, surface):
    return getattr(scene.surfaces, surface).texture


@pytest.mark.slow
def test_what_is_handled_stands_out_from_the_table_as_much_as_in_training():
    world, shift = World("standard"), SHIFTS.get("visual.table-texture")
    tasks = [task for task in map(TASKS.get, standard().names("tasks")) if task.concept is None]
    contrasts = np.array(
        [
            [_contrast(world, shift(task.sample(seed), level, task=task)) for level in (0.0, 1.0, 2.0, 3.0, 4.0, 5.0)]
            for seed, task in zip(range(40), itertools.cycle(tasks), strict=False)
        ]
    )
    plain, *shifted = np.median(contrasts, axis=0)
    assert min(shifted) > 0.9 * plain
    assert contrasts.min() > 2 * NOTICED


def _contrast(world, scene):
    """Colour difference between the thing to be handled and the table around it, where they meet."""
    world.reset(scene)
    index = [item.id for item in scene.objects].index(scene.goal.manipulated[0])
    colours, owner = cielab(world.see("image", 192)), world.segmentation("image", 192)
    mine = owner == index
    around = ndimage.binary_dilation(mine, iterations=4) & (owner == -1)
    return np.median(np.sqrt(((colours[mine] - colours[around].mean(axis=0)) ** 2).sum(axis=-1)))


@pytest.mark.slow
@pytest.mark.parametrize("surface", SURFACES)
def test_the_files_say_what_is_measured(surface):
    ordered = sorted(standard().textures_of(surface, "test"), key=lambda texture: texture.novelty[surface])
    chosen = [*ordered[:: len(ordered) // 4], standard().textures_of(surface, "dev")[0]]
    stored = [texture.novelty[surface] for texture in chosen]
    assert np.allclose(surfaces.measure(chosen, surface), stored, rtol=0.02, atol=0.1)


def test_only_what_is_unseen_has_a_novelty_and_all_of_that():
    for texture in standard().all_textures():
        assert set(texture.novelty) == (set() if texture.split == "train" else set(texture.surface)), texture.name


def test_another_board_of_the_same_wood_is_near_and_other_wood_is_not():
    """Which is why surfaces are not ordered by SSIM: it compares point by point."""
    oak, walnut = TEXTURES.get("oak"), TEXTURES.get("walnut")
    board, other, third = (
        textures.render(texture, 128) for texture in (oak, oak.model_copy(update={"seed": 1}), walnut)
    )
    assert difference(windows(board), windows(other)) < 0.4 * difference(windows(board), windows(third))
    assert distance(board, other) > 0.6 * distance(board, third)


def test_colours_are_those_of_cielab():
    """Those of Lindbloom's calculator, D65."""
    known = {
        (255, 255, 255): (100, 0, 0),
        (255, 0, 0): (53.24, 80.09, 67.20),
        (0, 0, 255): (32.30, 79.19, -107.86),
        (12, 12, 12): (3.29, 0, 0),
    }
    for colour, lab in known.items():
        (mean, deviation), *_ = windows(np.full((64, 64, 3), colour, np.uint8))
        assert np.allclose(mean[0, 0], lab, atol=0.3), colour
        assert deviation.max() < 1e-4


def test_contrast_counts_where_the_mean_colour_is_the_same():
    fine = np.zeros((64, 64, 3), np.uint8)
    fine[::2] = 200
    coarse = np.zeros((64, 64, 3), np.uint8)
    coarse[np.arange(64) % 8 < 4] = 200
    plain = np.full((64, 64, 3), 146, np.uint8)
    assert difference(windows(fine), windows(fine[::-1])) < 1
    assert difference(windows(plain), windows(fine)) > 10
    assert difference(windows(coarse), windows(fine)) > 10


def test_a_pool_without_a_texture_or_with_one_that_nobody_measured_says_so(monkeypatch):
    steel = TEXTURES.get("steel")
    monkeypatch.setitem(TEXTURES._things, "new-steel", steel.model_copy(update={"name": "new-steel", "novelty": {}}))
    with pytest.raises(SpecError, match="no floor texture in split 'test'"):
        near(Pool(name="x", summary="", textures=("steel",)), "floor", "test", 1.0)
    with pytest.raises(SpecError, match=r"'new-steel': novelty\.table is missing.*python -m oodbench\.surfaces"):
        near(Pool(name="x", summary="", textures=("steel", "new-steel")), "table", "test", 1.0)


def test_measuring_writes_one_line_and_changes_no_episode(tmp_path, monkeypatch):
    task = TASKS.get("put-on")
    scene = SHIFTS.get("visual.table-texture")(task.sample(0), 2.0, task=task)
    worn = TEXTURES.get(_worn(scene, "table"))
    was = closure.sha256(scene)
    path = tmp_path / "my-steel.toml"
    shutil.copy(data_dir("assets") / "textures" / "steel.toml", path)
    before = path.read_text()
    monkeypatch.setattr(surfaces, "measure", lambda chosen, surface: [12.3456 for _ in chosen])
    surfaces.main([str(path)])
    after = [line for line in path.read_text().splitlines() if line not in before.splitlines()]
    assert after == ["novelty = { table = 12.35 }"]
    assert len(path.read_text().splitlines()) == len(before.splitlines())
    monkeypatch.setitem(TEXTURES._things, worn.name, worn.model_copy(update={"novelty": {"table": 99.0}}))
    assert closure.sha256(scene) == was
