import inspect

import pytest

from oodbench.goal import PREDICATES, Condition, declare, objects_of
from oodbench.sim.predicates import function_of

IDS = ("target", "tray")


@pytest.mark.parametrize("name", PREDICATES.names())
def test_what_a_predicate_declares_is_what_judges_it(name):
    function = function_of(name)
    assert len(inspect.signature(function).parameters) - 1 == PREDICATES.get(name).arity
    assert PREDICATES.get(name).summary
    assert function.__doc__


def test_a_condition_is_read_with_its_arguments():
    assert Condition.parse(" on(target, tray) ", IDS) == Condition("on", ("target", "tray"))
    assert Condition.parse("raised(target, 0.1)", IDS).args == ("target", 0.1)
    assert objects_of(["on(target, tray)", "raised(target, 0.1)"], IDS) == {"target", "tray"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("onn(target, tray)", "did you mean 'on'"),
        ("on(target, trai)", "did you mean 'tray'"),
        ("on(target)", "on takes 2 arguments, not 1"),
        ("on target", "must look like"),
    ],
)
def test_a_wrong_condition_says_what_is_wrong(text, words):
    with pytest.raises(ValueError, match=words):
        Condition.parse(text, IDS)


def test_a_predicate_can_be_added(monkeypatch):
    monkeypatch.setattr(PREDICATES, "_things", dict(PREDICATES._things))
    declare("odd-even", 1, "an example", "math:isfinite")
    assert Condition.parse("odd-even(target)", IDS).name == "odd-even"
    assert function_of("odd-even")(1.0)
