"""The golden episode: its file is fresh, and `oodbench doctor` says what another machine's bits mean."""

import pytest

from oodbench import doctor, golden, paths
from oodbench.errors import AssetError


@pytest.fixture(scope="module")
def pinned():
    return golden.read()


def test_the_file_is_fresh_and_the_goal_is_reached(pinned):
    """When this fails, physics or geometry changed: if that was meant, `python -m oodbench.golden`."""
    found = golden.compare(pinned)
    assert found.apart < 1e-6
    if not found.same:
        pytest.skip("this machine has other last bits (no FMA, or another libm): see `oodbench doctor`")
    assert found.since is None
    assert found.sha256 == pinned.sha256
    where = {item.id: pinned.positions[item.id] for item in pinned.scene.objects}
    assert where["target"][2] > 0.005, "the object is on the plate"


def test_it_says_from_which_step_on_and_how_far_apart(pinned):
    actions = list(pinned.actions)
    actions[10] = (500, *actions[10][1:])
    found = golden.compare(pinned.model_copy(update={"actions": tuple(actions)}))
    assert not found.same
    assert found.since == 11
    assert 1e-4 < found.apart < 0.5


def _bits():
    return next(check for check in doctor.run() if check.name == "bits")


def test_doctor_names_the_reference(pinned):
    check = _bits()
    assert check.ok
    if not check.warning:
        assert check.found == f"same bits as the reference: {pinned.sha256[:12]}"


def test_other_bits_are_a_warning_that_says_what_they_mean(monkeypatch, pinned):
    other = golden.Comparison("0" * 64, same=False, since=7, apart=0.00123)
    monkeypatch.setattr(golden, "compare", lambda: other)
    check = _bits()
    assert check.ok, "no reason not to run"
    assert check.warning
    assert "from control step 7 on; 1.23 mm apart" in check.found
    assert "mujoco" in check.found
    assert "millimetres" in check.fix


def test_a_damaged_file_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(paths, "data_dir", lambda name: tmp_path)
    with pytest.raises(AssetError, match=r"golden\.json: cannot be read .*python -m oodbench\.golden"):
        golden.read()
    (tmp_path / golden.FILE).write_text('{"scene": 3}')
    with pytest.raises(AssetError, match="cannot be read"):
        golden.read()
