"""The audit finds what it is there to find."""

import pytest

from oodbench import audit
from oodbench.audit import Finding
from oodbench.report.catalogue import FILE, markdown, peers
from oodbench.run.records import EpisodeRecord
from oodbench.suite import SUITES, Episode
from oodbench.task import TASKS


def _record(task="put-on", shift="visual.noise", severity=3.0, seed=0, success=True):
    return EpisodeRecord(task=task, shift=shift, severity=severity, seed=seed, axis="visual", success=success)


def _finding(key=("put-on", "visual.noise", 3.0, 0), **wrong):
    return Finding(
        key=key, **({"visible": True, "hand": True, "contract": None, "agreement": None, "unclean": None} | wrong)
    )


def test_a_cell_that_the_expert_cannot_do_fails():
    records = [_record(seed=seed, success=seed % 2 == 0) for seed in range(20)]
    found = audit.summarise("x", records, [_finding()])
    assert not found.passes
    assert "FAILS" in audit.markdown(found)


def test_one_unlucky_episode_is_listed_but_does_not_fail():
    records = [_record(seed=seed, success=seed > 0) for seed in range(10)]
    found = audit.summarise("x", records, [_finding()])
    assert found.passes
    assert "put-on / visual.noise: 90.0 %" in audit.markdown(found)


@pytest.mark.parametrize("wrong", ["contract", "agreement", "unclean"])
def test_any_broken_promise_fails_and_is_named(wrong):
    found = audit.summarise("x", [_record()], [_finding(**{wrong: "it lies"})])
    assert not found.passes
    assert "put-on / visual.noise@3 / seed 0: it lies" in audit.markdown(found)


def test_what_cannot_be_seen_is_noticed():
    scene = TASKS.get("put-on").sample(0)
    assert audit.sees_all(scene)
    assert not audit.sees_all(scene.replace_object("target", position=(-0.1, -0.6, 0.0)))


@pytest.mark.parametrize("task", TASKS.names())
def test_hand_and_fingers_are_plain_to_see_in_the_first_picture(task):
    scenes = [TASKS.get(task).sample(seed) for seed in range(3)]
    assert all(audit.sees_hand(scene, scene) for scene in scenes)


def test_a_hand_that_is_not_in_the_picture_is_noticed():
    scene = TASKS.get("put-on").sample(0)
    low = tuple(camera.but(target=(-0.13, 0.0, -0.5)) for camera in scene.cameras)
    assert not audit.sees_hand(scene.but(cameras=low), scene)


def test_a_hidden_finger_is_noticed_but_where_the_hand_itself_may_hide_it():
    scene = TASKS.get("put-on").sample(0)
    behind = scene.replace_object("target", asset="post", position=(0.3, 0.025, 0.0))
    assert not audit.sees_hand(behind, scene)
    *others, turn = scene.robot.qpos
    assert audit.sees_hand(behind, scene.but(robot=scene.robot.but(qpos=(*others, turn + 0.3))))


def test_a_hand_that_looks_like_what_is_behind_it_is_noticed():
    scene = TASKS.get("put-on").sample(0)
    dark = scene.but(robot=scene.robot.but(tint=(0.2, 0.2, 0.2)))
    assert audit.sees_hand(dark, scene), "a shift may paint it"
    assert not audit.sees_hand(dark, dark)


def test_a_row_fails_when_the_hand_cannot_be_seen():
    records = [_record(seed=seed) for seed in range(20)]
    unseen = [_finding(("put-on", "visual.noise", 3.0, seed), hand=seed % 2 == 0) for seed in range(20)]
    found = audit.summarise("x", records, unseen)
    assert not found.passes
    assert "| 50 % |" in audit.markdown(found)


def test_scenes_of_a_suite_are_examined():
    suite = SUITES.get("core-2")
    for episode in suite.plan(limit=1)[:40]:
        finding = audit.examine(suite, episode)
        assert (finding.contract, finding.agreement, finding.unclean) == (None, None, None), finding.key
        assert isinstance(episode, Episode)


@pytest.mark.slow
def test_the_command_audits_and_writes_its_table(cli, tmp_path):
    done = cli("audit", "--suite", "smoke", "--limit", 1, "--out", "audit.md", "--quiet")
    assert done.returncode == 0, done.stdout + done.stderr
    text = (tmp_path / "audit.md").read_text()
    assert "| none | 0 | 100.0 %" in text
    assert "FAILS" not in text


def test_the_catalogue_is_up_to_date():
    assert FILE.read_text(encoding="utf-8") == markdown(), "run `make docs`"


def test_every_factor_of_a_peer_is_covered_or_has_a_reason():
    found = peers()  # raises for a name that does not exist, or for neither
    assert {peer["name"] for peer in found} >= {
        "RL4VLA / Don't Blind Your VLA", "LIBERO-plus", "LIBERO-CTRL", "LIBERO-MAX", "Colosseum", "STAR-Gen",
    }  # fmt: skip
    assert sum(len(peer["factors"]) for peer in found) >= 90
