"""Every protocol against a peer that is not ours: the actions arrive, and observations as the peer expects them."""

from __future__ import annotations

import threading

import anyio
import numpy as np
import pytest
from openpi_client.websocket_client_policy import WebsocketClientPolicy
from vla_eval import api
from vla_eval.connection import Connection
from vla_eval.model_servers.predict import PredictModelServer
from vla_eval.specs import (
    GRIPPER_CLOSE_POS,
    IMAGE_RGB,
    LANGUAGE,
    POSITION_ABSOLUTE,
    POSITION_DELTA,
    ROTATION_AA,
    STATE_EEF_POS_AA_GRIP,
)

from oodbench.errors import PolicyError
from oodbench.observation import Snapshot
from oodbench.policies.base import PolicySpec
from oodbench.policies.loading import load_policy
from oodbench.remote.codec import ProtocolError
from oodbench.remote.transport import ServerFailed

from .conftest import INFO, groot_server, http_server, openpi_server, serve

RNG = np.random.default_rng(0)
CHUNK = RNG.uniform(-1, 1, (10, 7))


def observation(size: int, cameras: tuple[str, ...] = ("image", "wrist_image")) -> Snapshot:
    pictures = {name: RNG.integers(0, 256, (size, size, 3), dtype=np.uint8) for name in cameras}
    return Snapshot(pictures, RNG.uniform(-1, 1, 8).astype(np.float32), "lift the mug")


class Echo:
    """Remembers what it was asked, and answers with CHUNK."""

    spec = PolicySpec(image_size=32, execute=4)

    def __init__(self):
        self.episodes, self.seen = [], []

    def reset(self, episode):
        self.episodes.append(episode)

    def act(self, observation):
        self.seen.append(observation)
        return CHUNK


# --- openpi --------------------------------------------------------------------------------------------------------


def test_openpi_client_package_drives_our_server():
    echo, seen = Echo(), observation(32)
    message = {
        "observation/image": seen.image, "observation/wrist_image": seen.wrist_image,
        "observation/state": seen.state.astype(np.float64), "prompt": seen.instruction,
    }  # fmt: skip
    with serve(echo, "openpi") as address:
        client = WebsocketClientPolicy(*address.split(":"))
        assert client.get_server_metadata()["spec"]["execute"] == 4
        for _ in range(2):
            reply = client.infer(message)
        assert np.array_equal(reply["actions"], CHUNK)
        assert reply["server_timing"]["infer_ms"] >= 0
        with pytest.raises(RuntimeError, match="policy wants uint8"):
            client.infer(message | {"observation/image": seen.image[:16]})
    assert np.array_equal(echo.seen[0].image, seen.image)
    assert np.array_equal(echo.seen[0].state, seen.state)
    assert echo.seen[0].instruction == "lift the mug"
    assert len(echo.episodes) == 1


def test_our_client_drives_an_openpi_server():
    asked = []

    def infer(message):
        asked.append(message)
        return {"actions": CHUNK, "policy_timing": {"infer_ms": 1.0}}

    with openpi_server(infer, {"robot": "franka", "weights": np.zeros(3)}) as address:
        policy = load_policy(f"openpi://{address}").make()
        assert policy.spec.orientation == "mirrored"
        assert policy.spec.execute == 5
        assert policy.metadata["robot"] == "franka"
        policy.reset(INFO)
        seen = observation(224)
        assert np.array_equal(policy.act(seen), CHUNK)
        policy.close()
    assert set(asked[0]) == {"observation/image", "observation/wrist_image", "observation/state", "prompt"}
    assert np.array_equal(asked[0]["observation/wrist_image"], seen.wrist_image)
    assert asked[0]["observation/state"].dtype == np.float32


def test_droid_servers_get_droid_keys():
    asked = []
    with openpi_server(lambda message: asked.append(message) or {"actions": CHUNK}) as address:
        policy = load_policy(f"openpi://{address}?preset=droid").make()
        policy.reset(INFO)
        policy.act(observation(224))
    assert asked[0]["observation/joint_position"].shape == (7,)
    assert asked[0]["observation/gripper_position"].shape == (1,)
    assert "observation/exterior_image_1_left" in asked[0]


def test_an_openpi_server_that_fails_is_quoted():
    def infer(message):
        raise ValueError("shape mismatch in embed_prefix")

    with openpi_server(infer) as address:
        policy = load_policy(f"openpi://{address}").make()
        policy.reset(INFO)
        with pytest.raises(ServerFailed, match="ValueError: shape mismatch in embed_prefix"):
            policy.act(observation(224))


# --- vla-eval ------------------------------------------------------------------------------------------------------


class Model(PredictModelServer):
    def __init__(self, wishes=None, spec=None, **arguments):
        super().__init__(**arguments)
        self.seen, self.tasks, self.wishes, self.specs = [], [], wishes or {}, spec or {}

    def predict(self, obs, ctx):
        self.seen.append(obs)
        return {"actions": CHUNK}

    async def on_episode_start(self, config, ctx):
        self.tasks.append(config["task"])
        await super().on_episode_start(config, ctx)

    def get_observation_params(self):
        return self.wishes

    def get_action_spec(self):
        return {"position": POSITION_DELTA, "rotation": ROTATION_AA, "gripper": GRIPPER_CLOSE_POS} | self.specs

    def get_observation_spec(self):
        return {"image": IMAGE_RGB, "state": STATE_EEF_POS_AA_GRIP, "language": LANGUAGE}


def test_our_client_drives_a_vla_eval_server():
    model = Model({"send_wrist_image": True, "send_state": True}, chunk_size=10)
    with api.serve_background(model) as server:
        policy = load_policy(f"vla-eval://127.0.0.1:{server.port}").make()
        assert policy.spec.state == "pose-fingers-folded", "that is what its LIBERO sends by default"
        policy.reset(INFO)
        seen = observation(256)
        got = np.array([policy.act(seen) for _ in range(10)])
        policy.close()
    assert np.abs(got - CHUNK).max() < 6e-8, "its servers answer in float32"
    assert len(model.seen) == 1, "the server keeps the rest of its chunk"
    assert np.array_equal(model.seen[0]["images"]["agentview"], seen.image)
    assert np.array_equal(model.seen[0]["images"]["wrist"], seen.wrist_image)
    assert np.array_equal(model.seen[0]["states"], seen.state)
    assert model.tasks[0]["name"] == INFO.instruction


def test_vla_evals_own_connection_drives_our_server():
    echo, seen = Echo(), observation(32)

    async def talk(address):
        async with Connection(f"ws://{address}") as connection:
            said = connection.server_info
            await connection.start_episode({"task": {"name": "lift the mug", "suite": "x"}})
            payload = {
                "images": {"agentview": seen.image, "wrist": seen.wrist_image},
                "states": seen.state, "task_description": "lift the mug",
            }  # fmt: skip
            actions = [(await connection.act(payload))["actions"] for _ in range(5)]
            for _ in range(3):
                await connection.act(payload)
            with pytest.raises(RuntimeError, match="policy wants uint8"):
                await connection.act(payload | {"images": {"agentview": seen.image[:5]}})
            return said, actions

    with serve(echo, "vla-eval") as address:
        said, actions = anyio.run(talk, address)
    assert said["action_spec"]["gripper"]["format"] == "binary_close_positive"
    assert said["observation_params"]["send_wrist_image"] is True
    assert np.array_equal(actions[:4], CHUNK[:4]), "at full precision"
    assert np.array_equal(actions[4], CHUNK[0]), "4 of a chunk are executed, then it is asked again"
    assert len(echo.seen) == 2
    assert echo.episodes[0].instruction == "lift the mug"


@pytest.mark.parametrize("wish", [{"seed": 0}, {"max_episode_steps": 300}, {"success_mode": "accumulate"}])
def test_a_server_cannot_decide_about_the_benchmark(wish):
    key = next(iter(wish))
    with api.serve_background(Model(wish)) as server, pytest.raises(PolicyError, match=f"{key}=.*benchmark's"):
        load_policy(f"vla-eval://127.0.0.1:{server.port}").make()


def test_two_declarations_that_differ_are_both_named():
    says = r"declares gripper 'signed-close', oodbench was told 'unit-open'"
    with api.serve_background(Model()) as server, pytest.raises(PolicyError, match=says):
        load_policy(f"vla-eval://127.0.0.1:{server.port}?gripper=unit-open").make()
    says = r"'absolute-pose'; oodbench executes 'delta-pose'"
    model = Model(spec={"position": POSITION_ABSOLUTE})
    with api.serve_background(model) as server, pytest.raises(PolicyError, match=says):
        load_policy(f"vla-eval://127.0.0.1:{server.port}").make()


# --- GR00T ---------------------------------------------------------------------------------------------------------


def groot_answer(asked, nested):
    def answer(endpoint, data):
        asked.append((endpoint, data))
        if endpoint == "get_modality_config":
            if not nested:
                raise ValueError("Unknown endpoint: get_modality_config")
            keys = {"video": ["image", "wrist_image"], "action": [*list("xyz"), "roll", "pitch", "yaw", "gripper"]}
            return {
                kind: {"__ModalityConfig_class__": True, "as_json": {"modality_keys": k}} for kind, k in keys.items()
            }
        if endpoint == "reset":
            return {}
        action = {f"action.{key}": CHUNK[:, i : i + 1].astype(np.float32) for i, key in enumerate(
            ("x", "y", "z", "roll", "pitch", "yaw"))}  # fmt: skip
        action["action.gripper"] = (CHUNK[:, 6] > 0).astype(np.float32)
        return [{key.removeprefix("action."): value[None] for key, value in action.items()}, {}] if nested else action

    return answer


@pytest.mark.parametrize("version", ["n1.5", "n1.6"])
def test_our_client_drives_a_groot_server(version):
    asked = []
    with groot_server(groot_answer(asked, version == "n1.6")) as address:
        policy = load_policy(f"groot://{address}?version={version}").make()
        assert policy.spec.gripper == "unit-open"
        policy.reset(INFO)
        seen = observation(256)
        actions = policy.act(seen)
        policy.close()
    assert actions.shape == (10, 7)
    assert np.abs(actions[:, :6] - CHUNK[:, :6]).max() < 6e-8
    assert np.array_equal(actions[:, 6], CHUNK[:, 6] > 0)
    data = asked[-1][1]
    if version == "n1.5":
        assert data["video.image"].shape == (1, 256, 256, 3)
        assert data["state.x"].shape == (1, 1)
        assert data["state.gripper"].shape == (1, 2)
        assert data["annotation.human.action.task_description"] == ["lift the mug"]
    else:
        assert ("reset", {"options": None}) in asked
        assert data["observation"]["video"]["image"].shape == (1, 1, 256, 256, 3)
        assert data["observation"]["state"]["yaw"][0, 0, 0] == seen.state[5]
        assert data["observation"]["language"]["annotation.human.action.task_description"] == [["lift the mug"]]


def test_a_groot_server_of_the_other_version_or_body_is_named():
    with groot_server(groot_answer([], True)) as address:
        policy = load_policy(f"groot://{address}?version=n1.5").make()
        with pytest.raises(ProtocolError, match="answer is list"):
            policy.act(observation(256))
    config = {"action": {"modality_keys": ["left_arm", "right_arm"]}}
    with (
        groot_server(lambda endpoint, data: config) as address,
        pytest.raises(PolicyError, match="left_arm, right_arm"),
    ):
        load_policy(f"groot://{address}").make()


# --- OpenVLA -------------------------------------------------------------------------------------------------------


def test_our_client_drives_openvlas_server():
    asked = []

    def answer(message):
        asked.append(message)
        return np.array([0.01, 0, 0, 0, 0, 0.1, 1.0])

    with http_server(answer) as address:
        policy = load_policy(f"openvla+http://{address}?unnorm_key=bridge_orig").make()
        assert policy.spec.control_hz == 5
        policy.reset(INFO)
        seen = observation(224, ("image",))
        assert np.array_equal(policy.act(seen), [0.01, 0, 0, 0, 0, 0.1, 1.0])
    assert set(asked[0]) == {"image", "instruction", "unnorm_key"}
    assert np.array_equal(asked[0]["image"], seen.image)


def test_our_client_drives_ofts_server():
    asked = []
    with http_server(lambda message: asked.append(message) or list(CHUNK[:8])) as address:
        policy = load_policy(f"openvla+http://{address}?form=oft").make()
        assert policy.spec.orientation == "mirrored"
        policy.reset(INFO)
        assert np.array_equal(policy.act(observation(224)), CHUNK[:8])
    assert set(asked[0]) == {"full_image", "wrist_image", "state", "instruction"}


def test_openvlas_word_for_a_failure_is_an_error_of_the_episode():
    def answer(message):
        raise RuntimeError

    with http_server(answer) as address:
        policy = load_policy(f"openvla+http://{address}").make()
        with pytest.raises(ServerFailed, match="answered 'error'"):
            policy.act(observation(224, ("image",)))


# --- oodbench ------------------------------------------------------------------------------------------------------


class Batched:
    """Answers whole batches; remembers how large they were, and what each session was told."""

    spec = PolicySpec(image_size=32, cameras=())

    def __init__(self):
        self.sizes, self.told = [], {}

    def reset(self, episode):
        self.told[episode.session] = episode.seed

    def act_batch(self, observations):
        self.sizes.append(len(observations))
        return [np.full((2, 7), self.told[seen.session] / 100) for seen in observations]


def test_clients_of_our_server_share_batches_and_keep_their_episodes():
    batched, answers = Batched(), {}
    with serve(batched, max_wait=0.2) as address:
        clients = [load_policy(f"oodbench://{address}").make() for _ in range(6)]
        assert clients[0].spec == Batched.spec

        def play(number):
            from dataclasses import replace

            clients[number].reset(replace(INFO, seed=number))
            seen = Snapshot({}, np.zeros(8, np.float32), "x")
            answers[number] = [clients[number].act(seen)[0, 0] for _ in range(4)]

        threads = [threading.Thread(target=play, args=(n,)) for n in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert answers == {n: [n / 100] * 4 for n in range(6)}
    assert max(batched.sizes) >= 4, batched.sizes
    assert sum(batched.sizes) == 24


def test_a_policy_without_batches_is_made_once_a_session():
    made = []

    class Single(Echo):
        def __init__(self):
            super().__init__()
            made.append(self)

    with serve(Single) as address:
        first, second = (load_policy(f"oodbench://{address}").make() for _ in range(2))
        first.reset(INFO)
        second.reset(INFO)
        first.act(observation(32))
        assert sorted(len(policy.seen) for policy in made) == [0, 1]
        first.close()
        third = load_policy(f"oodbench://{address}").make()
        for _ in range(100):  # the session is given back a moment after it is closed
            third.reset(INFO)
            if len(made) == 2:
                break
    assert len(made) <= 3


def test_a_policy_that_crashes_on_the_server_is_an_error_of_the_episode_and_a_broken_contract_ends_the_run():
    class Crash(Echo):
        def act(self, observation):
            raise RuntimeError("the lens fell off")

    class Six(Echo):
        def act(self, observation):
            return np.zeros(6)

    for policy, error, says in ((Crash, ServerFailed, "lens fell off"), (Six, PolicyError, r"shape \(6,\)")):
        with serve(policy) as address:
            client = load_policy(f"oodbench://{address}").make()
            client.reset(INFO)
            with pytest.raises(error, match=says):
                client.act(observation(32))


def test_a_server_of_ours_cannot_declare_what_is_not_a_policys():
    from oodbench.remote.native import _spec

    with pytest.raises(PolicyError, match="declares horizon, which is not a policy's to decide"):
        _spec({"horizon": 1000}, "x")
    with pytest.raises(PolicyError, match="privileged"):
        _spec({"privileged": True}, "x")


def test_the_expert_cannot_be_served():
    from oodbench.remote.hub import Hub

    with pytest.raises(PolicyError, match="reads the simulator's state"):
        Hub(load_policy("expert"))
