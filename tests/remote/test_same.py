"""The same outcomes in process and over every protocol that carries what it is given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from vla_eval import api

from oodbench.expert import Expert
from oodbench.policies.base import PolicySpec
from oodbench.policies.loading import load_policy
from oodbench.run.episode import play
from oodbench.shift import ShiftSpec
from oodbench.sim.world import World
from oodbench.suite import SUITES, Episode

from .conftest import groot_server, http_server, openpi_server, serve
from .test_peers import Model

SUITE = SUITES.get("quick")
BASELINE = Path(__file__).parents[2] / "baselines" / "policy.py"
SHIFTS = ("none", "visual.light-intensity@3", "execution.action-latency@2")


class Relay:
    """Behind a server: the expert, whose eyes are elsewhere."""

    spec = PolicySpec(execute=1, cameras=())

    def __init__(self, expert):
        self.expert = expert

    def reset(self, episode):
        pass

    def act(self, observation):
        return self.expert.act(observation)


class Far:
    """In front of a client: hands the expert its world, and asks it through the wire."""

    def __init__(self, expert, uri, **changes):
        self.expert, self.client = expert, load_policy(uri).make()
        self.spec = self.client.spec.but(privileged=True, execute=1, **changes)

    def bind(self, world):
        self.expert.bind(world)

    def reset(self, episode):
        self.expert.reset(episode)
        self.client.reset(episode)

    def act(self, observation):
        return self.client.act(observation)


def outcomes(policy, shifts=SHIFTS, task="lift"):
    world = World("fast")
    records = [play(world, policy, Episode(task, ShiftSpec.parse(shift), 1), SUITE) for shift in shifts]
    assert not any(record.error for record in records), [record.error for record in records]
    return [(record.success, record.steps, record.outcome_sha256) for record in records]


@pytest.fixture(scope="module")
def here():
    return outcomes(Expert())


def test_the_expert_over_oodbench_and_openpi(here):
    for protocol, query in (("oodbench", ""), ("openpi", "?preset=oodbench&cameras=")):
        expert = Expert()
        with serve(Relay(expert), protocol) as address:
            assert outcomes(Far(expert, f"{protocol}://{address}{query}")) == here


def test_the_expert_over_vla_eval(here):
    expert = Expert()
    with serve(Relay(expert), "vla-eval") as address:
        far = Far(expert, f"vla-eval://{address}?preset=oodbench&cameras=")
        assert outcomes(far) == here
    assert all(success for success, _, _ in here)


def test_the_expert_over_vla_evals_own_server_is_rounded_to_float32(here):
    expert = Expert()

    class Rounded(Model):
        def predict(self, obs, ctx):
            return {"actions": expert.act(None)[0]}

    with api.serve_background(Rounded()) as server:
        far = Far(expert, f"vla-eval://127.0.0.1:{server.port}?preset=oodbench&cameras=")
        found = outcomes(far)
    assert [success for success, _, _ in found] == [success for success, _, _ in here]
    assert [sha for _, _, sha in found] != [sha for _, _, sha in here], "which the documentation says"


def test_the_expert_over_the_wires_of_openpi_groot_and_openvla(here):
    expert = Expert()
    with openpi_server(lambda message: {"actions": expert.act(None)}) as address:
        assert outcomes(Far(expert, f"openpi://{address}?preset=oodbench&cameras=")) == here

    def answer(endpoint, data):
        if endpoint != "get_action":
            return {}
        action = expert.act(None)
        return [
            {f"action.{key}": action[:, i] for i, key in enumerate(("x", "y", "z", "roll", "pitch", "yaw", "gripper"))},
            {},
        ]

    with groot_server(answer) as address:
        far = Far(expert, f"groot://{address}?preset=oodbench", gripper="signed-close", binary_gripper=False)
        assert outcomes(far, SHIFTS[:1]) == here[:1]
    with http_server(lambda message: expert.act(None)) as address:
        uri = f"openvla+http://{address}?preset=oodbench&gripper=signed-close&binary_gripper=false&cameras=image"
        assert outcomes(Far(expert, uri), SHIFTS[:1]) == here[:1]


@pytest.mark.slow
def test_the_reference_policy_over_every_protocol_of_our_server(tiny_vla):
    uri = f"{BASELINE}:load?checkpoint={tiny_vla}&execute=8"
    shifts = ("none", "semantic.correction@3")
    local = load_policy(uri).make()
    here = outcomes(local, shifts, "put-on")
    spec = local.spec
    for protocol, query in (
        ("oodbench", ""),
        ("openpi", f"?preset=oodbench&image_size={spec.image_size}&execute=8"),
        ("vla-eval", f"?preset=oodbench&image_size={spec.image_size}"),
    ):
        with serve(load_policy(uri).make(), protocol) as address:
            far = load_policy(f"{protocol}://{address}{query}").make()
            assert outcomes(far, shifts, "put-on") == here, protocol


def test_actions_are_rounded_to_float32_by_less_than_a_ten_millionth():
    action = np.random.default_rng(0).uniform(-1, 1, (1000, 7))
    assert np.abs(action.astype(np.float32) - action).max() < 6e-8
