"""The robot: light, whole in the package, the same bytes on every machine; robosuite only makes it anew."""

import shutil

import mujoco
import numpy as np
import pytest

from oodbench import registry, robots
from oodbench.errors import AssetError
from oodbench.robots import ROBOTS
from oodbench.sim import lighten
from oodbench.sim.robots import spec


def test_the_panda_is_light_and_has_its_joints():
    model = spec("panda").compile()
    assert model.nmeshvert < 6_000, "robosuite's has 329,000 vertices"
    assert model.nu == 9
    assert [model.joint(i).name for i in range(7)] == list(ROBOTS.get("panda").joints)
    assert mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_SITE, "grip_site") >= 0


def test_its_visual_meshes_have_no_cracks():
    model = spec("panda").compile()
    for geom in np.flatnonzero(model.geom_group == lighten.VISUAL):
        mesh = model.geom_dataid[geom]
        start = model.mesh_faceadr[mesh]
        faces = model.mesh_face[start : start + model.mesh_facenum[mesh]]
        edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
        _, triangles = np.unique(edges, axis=0, return_counts=True)
        assert (triangles >= 2).all(), f"{model.geom(geom).name}: an edge of one triangle only"


def test_its_gains_are_those_of_its_file_whatever_mujoco_computes():
    model, robot = spec("panda").compile(), ROBOTS.get("panda")
    damping = [*robot.damping, robot.finger_damping, robot.finger_damping]
    assert (-model.actuator_biasprm[:, 2]).tolist() == damping
    assert model.dof_armature[:7].tolist() == list(robot.armature)


def test_a_collision_mesh_has_no_more_vertices_on_its_hull_than_asked_for():
    panda = spec("panda")
    hulls = {mesh.name: mesh.maxhullvert for mesh in panda.meshes if mesh.file.endswith(lighten.COLLISION)}
    assert len(hulls) == 10
    assert set(hulls.values()) == {lighten.HULL_VERTICES}, "in the file itself, so that every reader has the same robot"


@pytest.mark.slow
def test_made_anew_from_robosuite_it_is_the_robot_that_ships():
    """Not byte for byte: other versions of trimesh, scipy and numpy may round the last bit of a vertex differently."""
    pytest.importorskip("robosuite", reason="robosuite is not installed: the shipped robot cannot be made anew")
    pytest.importorskip("fast_simplification", reason="fast-simplification is not installed")
    text, meshes = lighten.compose(ROBOTS.get("panda"))
    assert text == (ROBOTS.get("panda").folder / robots.MODEL).read_text()
    assert meshes.keys() == robots.files("panda").keys()
    made = mujoco.MjSpec.from_string(text, assets=meshes).compile()
    shipped = mujoco.MjSpec.from_string(text, assets=robots.files("panda")).compile()
    assert made.nmeshvert == shipped.nmeshvert
    for field in ("body_mass", "body_inertia", "body_pos", "geom_size", "geom_pos", "mesh_vert"):
        np.testing.assert_allclose(getattr(made, field), getattr(shipped, field), atol=1e-6, err_msg=field)


def test_written_twice_the_files_are_the_same(tmp_path, monkeypatch):
    meshes = {"a.stl": b"1", "b.stl": b"2"}
    monkeypatch.setattr(lighten, "compose", lambda robot: ("<mujoco/>", meshes))
    monkeypatch.setattr(lighten, "version", lambda name: "1.0")
    target = tmp_path / "new" / "panda"
    seen = []
    for extra in ({}, {"gone.stl": b"3"}, {}):
        monkeypatch.setattr(lighten, "compose", lambda robot, extra=extra: ("<mujoco/>", meshes | extra))
        lighten.write(ROBOTS.get("panda"), target)
        seen.append({file.name: file.read_bytes() for file in target.iterdir()})
    assert seen[0] == seen[2]
    assert seen[0].keys() == {"a.stl", "b.stl", robots.MODEL, robots.SOURCE}
    assert [path.name for path in target.parent.iterdir()] == ["panda"], "nothing is left beside it"


def test_a_folder_that_cannot_be_written_is_one_error(tmp_path, monkeypatch):
    monkeypatch.setattr(lighten, "compose", lambda robot: ("<mujoco/>", {}))
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(AssetError, match="cannot write"):
        lighten.write(ROBOTS.get("panda"), blocked / "panda")


def test_without_robosuite_the_developers_command_says_what_to_install(monkeypatch):
    def missing(name):
        raise lighten.PackageNotFoundError(name)

    monkeypatch.setattr(lighten, "distribution", missing)
    with pytest.raises(AssetError, match=r"pip install 'oodbench\[robosuite\]'"):
        lighten.compose(ROBOTS.get("panda"))


@pytest.fixture
def own(tmp_path):
    """A function that makes a robot of one's own from the Panda's files and returns the path of its TOML file."""
    robots.files.cache_clear(), robots.content_sha256.cache_clear(), robots.model.cache_clear()
    panda = ROBOTS.get("panda")

    def make(name, old="", new=""):
        file = tmp_path / name / "mine.toml"
        shutil.copytree(panda.folder, file.with_suffix(""))
        text = panda.folder.with_suffix(".toml").read_text()
        file.write_text(text.replace(old, new))
        return file

    return make


def test_a_robot_by_path_has_its_files_beside_it(own):
    assert spec(str(own("a"))).compile().nu == 9


def test_the_hash_is_of_what_the_robot_is(own):
    same = own("same", "# Franka's data sheet", "# another comment")
    (same.with_suffix("") / robots.SOURCE).write_text('robosuite = "9"')
    other = own("other", "opening = 0.08", "opening = 0.07")
    shape = own("shape")
    mesh = shape.with_suffix("") / "link0_shell.stl"
    content = mesh.read_bytes()
    mesh.write_bytes(content[:100] + bytes([content[100] ^ 1]) + content[101:])

    def digest(file):
        registry.forget()  # they have one name
        return robots.content_sha256(str(file))

    plain, *hashes = (digest(file) for file in (own("plain"), same, other, shape))
    assert hashes[0] == plain, "comments and what it was made from are not the robot"
    assert len({plain, *hashes}) == 3
    assert len(plain) == 64


def test_a_missing_file_is_one_error_that_names_it(own):
    file = own("a")
    (file.with_suffix("") / robots.MODEL).unlink()
    with pytest.raises(AssetError, match=r"robot\.xml cannot be read"):
        spec(str(file))


def test_the_licence_and_the_source_ship_with_the_meshes():
    folder = ROBOTS.get("panda").folder
    assert "Stanford Vision and Learning Lab" in (folder.parent / "LICENSE-robosuite").read_text()
    assert robots.versions()["panda"] == f"robosuite {lighten.ROBOSUITE}"
