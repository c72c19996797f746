"""`oodbench list` reads; it makes nothing."""

from importlib.metadata import EntryPoint

import pytest

from oodbench import registry
from oodbench.cli.list import LISTS
from oodbench.policies.controls import POLICIES


class Demanding:
    """Wants a checkpoint.

    And says more about it.
    """

    def __init__(self, checkpoint):
        raise AssertionError("listing made a policy")


def factory():
    """Loads its weights."""
    raise AssertionError("listing made a policy")


@pytest.fixture
def plugins(monkeypatch):
    added = {"demanding": "Demanding", "weights": "factory", "broken": "no_such_thing"}
    points = [EntryPoint(name, f"{__name__}:{attr}", POLICIES.group) for name, attr in added.items()]
    monkeypatch.setattr(registry, "points", lambda group: points if group == POLICIES.group else [])
    for table in ("_things", "_points", "_whose", "_failed"):
        monkeypatch.setattr(POLICIES, table, dict(getattr(POLICIES, table)))
    monkeypatch.setattr(POLICIES, "_plugged", False)


def test_policies_are_listed_without_being_made(plugins):
    rows = {row["policy"]: row["what"] for row in LISTS["policies"]()}
    assert rows["demanding"] == "Wants a checkpoint."
    assert rows["weights"] == "Loads its weights."
    assert rows["expert"].startswith("The scripted expert")
    assert all(rows[name] for name in POLICIES.names())


def test_a_policy_that_cannot_be_loaded_is_listed_as_such(plugins):
    rows = {row["policy"]: row["what"] for row in LISTS["policies"]()}
    assert rows["broken"].startswith("cannot be loaded: policy 'broken'")
