"""Objects and textures: they stand still, weigh what they say, can be grasped, and tile."""

import mujoco
import numpy as np
import pytest

from oodbench.catalogue import GLYPHS, OBJECTS, TEXTURES, ObjectAsset
from oodbench.errors import AssetError
from oodbench.pool import standard
from oodbench.sim import shapes
from oodbench.sim import textures as pictures
from oodbench.sim.glyphs import render as draw_glyph

POOL = standard()
PALM = 0.035  # how far a solid thing may rise above the grasp before the palm meets it (m)


@pytest.fixture(scope="module", params=OBJECTS.names())
def built(request):
    """An object alone on a plane, one millimetre up."""
    asset = OBJECTS.get(request.param)
    spec = mujoco.MjSpec()
    spec.worldbody.add_geom(name="floor", type=mujoco.mjtGeom.mjGEOM_PLANE, size=(1, 1, 1))
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    shapes.add_object(spec, asset, "it")
    model = spec.compile()
    data = mujoco.MjData(model)
    if not asset.fixed:
        data.qpos[2] = 0.001
    mujoco.mj_forward(model, data)
    return asset, model, data


def test_rests_where_it_is_put(built):
    _, model, data = built
    mujoco.mj_step(model, data, 50)
    start, turn = data.body("it").xpos.copy(), data.body("it").xmat.reshape(3, 3).copy()
    mujoco.mj_step(model, data, 1000)
    moved = np.linalg.norm(data.body("it").xpos - start)
    angle = np.arccos(np.clip((np.trace(turn.T @ data.body("it").xmat.reshape(3, 3)) - 1) / 2, -1, 1))
    assert moved < 0.003
    assert np.degrees(angle) < 2


def test_weighs_what_it_says(built):
    asset, model, _ = built
    if asset.kind in ("zone", "prop"):
        return  # marks and posts cannot be touched
    assert model.body_subtreemass[model.body("it").id] == pytest.approx(asset.mass)


def test_is_light_to_draw(built):
    _, model, _ = built
    assert model.nmeshvert <= 1500


def test_collision_shape_lies_inside_the_declared_footprint_and_height(built):
    asset, model, _ = built
    if asset.joint:
        return  # its handle and its drawer reach out of it
    for geom in range(model.ngeom):
        if model.geom_contype[geom] and model.geom(geom).name.startswith("it/"):
            points = _surface(model, geom)
            assert np.hypot(points[:, 0], points[:, 1]).max() <= asset.radius * 1.05 + 0.002
            assert points[:, 2].max() <= asset.height + 0.003
            assert points[:, 2].min() >= -0.001


def _surface(model, geom):
    """Points on a geom, in the frame of its body."""
    size, kind = model.geom_size[geom], model.geom_type[geom]
    angles = np.linspace(0, 2 * np.pi, 24)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    if kind == mujoco.mjtGeom.mjGEOM_CYLINDER:
        local = np.concatenate([np.column_stack([size[0] * circle, np.full(24, s * size[1])]) for s in (-1, 1)])
    elif kind == mujoco.mjtGeom.mjGEOM_MESH:
        mesh = model.geom_dataid[geom]
        start = model.mesh_vertadr[mesh]
        local = model.mesh_vert[start : start + model.mesh_vertnum[mesh]]
    else:
        local = size * np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, -1).T
    rotation = np.zeros(9)
    mujoco.mju_quat2Mat(rotation, model.geom_quat[geom])
    return local @ rotation.reshape(3, 3).T + model.geom_pos[geom]


def test_can_be_grasped_from_above(built):
    asset, model, _ = built
    if asset.kind not in ("object", "block"):
        return
    grasp = asset.grasp
    assert grasp is not None
    assert grasp.position[2] >= 0.0155, "the fingertips would touch the table"
    assert grasp.width <= 0.07
    solid = [g for g in range(model.ngeom) if model.geom_contype[g] and model.geom(g).name.startswith("it/")]
    top = max(_surface(model, geom)[:, 2].max() for geom in solid)
    assert top - grasp.position[2] <= PALM, "the palm would touch it before the fingers hold it"


def test_drawers_slide_stay_and_show_an_inside():
    for asset in POOL.objects_of("cabinet", "train") + POOL.objects_of("cabinet", "test"):
        spec = mujoco.MjSpec()
        spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
        shapes.add_object(spec, asset, "it")
        model = spec.compile()
        data = mujoco.MjData(model)
        mujoco.mj_step(model, data, 500)
        assert abs(data.joint("it/joint").qpos[0]) < 0.001, "opens by itself"
        data.qfrc_applied[model.joint("it/joint").dofadr[0]] = 5.0
        mujoco.mj_step(model, data, 1500)
        assert data.joint("it/joint").qpos[0] == pytest.approx(asset.joint.range, abs=0.005)
        data.qfrc_applied[:] = 0.0
        mujoco.mj_step(model, data, 500)
        assert data.joint("it/joint").qpos[0] > 0.95 * asset.joint.range, "slides back"


def test_the_splits_are_large_enough_and_do_not_share_labels():
    counts = {(kind, split): len(POOL.objects_of(kind, split)) for kind in ("object", "receptacle", "block", "cabinet")
              for split in ("train", "dev", "test")}  # fmt: skip
    for kind, least in {"object": (24, 12, 24), "receptacle": (4, 4, 12)}.items():
        assert all(counts[kind, split] >= n for split, n in zip(("train", "dev", "test"), least, strict=True))
    assert min(counts.values()) >= 2
    assert (
        len({asset.category for split in ("train", "dev", "test") for asset in POOL.objects_of("object", split)}) >= 15
    )
    for kind in ("object", "receptacle", "block", "cabinet"):
        labels = [asset.label for split in ("train", "dev", "test") for asset in POOL.objects_of(kind, split)]
        assert len(set(labels)) == len(labels)
        assert {asset.novelty for asset in POOL.objects_of(kind, "test")} == {1, 2, 3, 4, 5}
        assert {asset.novelty for asset in POOL.objects_of(kind, "train")} == {0}


def test_surfaces_have_pools_in_every_split():
    for surface in ("table", "floor", "wall"):
        for split in ("train", "dev", "test"):
            assert POOL.textures_of(surface, split)
    assert len(POOL.textures_of("table", "train")) >= 8
    sizes = {split: sum(texture.split == split for texture in TEXTURES) for split in ("train", "dev", "test")}
    assert sizes["train"] >= 16
    assert sizes["dev"] >= 8
    assert sizes["test"] >= 24


@pytest.mark.parametrize("name", TEXTURES.names())
def test_textures_repeat_without_a_seam(name):
    """The step across the edge is no larger than steps inside the picture are."""
    image = pictures.render(TEXTURES.get(name), 256).astype(float)
    assert image.shape == (256, 256, 3)
    for axis in (0, 1):
        inside = np.abs(np.diff(image, axis=axis)).mean(axis=(1 - axis, 2))
        across = np.abs(np.take(image, 0, axis) - np.take(image, -1, axis)).mean()
        assert across <= inside.max() + 3


def test_bad_assets_are_named():
    asset = OBJECTS.get("carrot")
    spec = mujoco.MjSpec()
    with pytest.raises(AssetError, match=r"'carrot'.*family"):
        shapes.add_object(spec, asset.model_copy(update={"part": ({"family": "blob"},)}), "it")
    only_seen = ({"family": "box", "half": (0.01, 0.01, 0.01), "role": "visual"},)
    with pytest.raises(AssetError, match="no part can be touched"):
        shapes.add_object(spec, asset.model_copy(update={"part": only_seen}), "that")
    texture = TEXTURES.get("oak")
    with pytest.raises(AssetError, match="did you mean 'wood'"):
        pictures.render(texture.model_copy(update={"generator": "woood"}))


def test_things_that_move_have_a_joint():
    for kind in ("cabinet", "button", "knob"):
        for split in ("train", "dev", "test"):
            assert all(isinstance(a, ObjectAsset) and a.joint for a in POOL.objects_of(kind, split))


def test_every_glyph_is_drawn_and_unlike_the_others():
    for glyphs in GLYPHS:
        faces = [f"{glyphs.name}/{g.name}" for g in glyphs.glyph]
        if glyphs.variants:
            faces = [f"{glyphs.name}/{name}/{v}" for name, some in glyphs.variants.items() for v in some]
        pictures_of = [draw_glyph(face, 64).astype(int) for face in faces]
        for i, a in enumerate(pictures_of):
            assert a.std() > 10 or glyphs.name == "color"
            for b in pictures_of[:i]:
                assert np.abs(a - b).mean() > 3


def test_a_glyph_that_does_not_exist_names_the_nearest():
    with pytest.raises(AssetError, match="did you mean shape/circle"):
        draw_glyph("shape/circel")


def test_everyday_objects_say_all_that_words_can_call_them_by():
    for split in ("train", "dev", "test"):
        for asset in POOL.objects_of("object", split):
            assert asset.synonyms, asset.name
            assert asset.label not in asset.synonyms, asset.name
            assert asset.affordance.startswith("to "), asset.name
            assert asset.hint.startswith("that "), asset.name
            assert asset.colour, asset.name
            assert asset.material, asset.name
