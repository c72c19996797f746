"""From a policy URI to a policy.

A URI is ``name``, ``package.module:attr``, ``path/to/file.py:attr`` or ``scheme://address`` (a policy that runs
elsewhere, see oodbench/remote), each with ``?key=value&...`` behind it. The attribute may be

- a class with `reset` and `act` (or `act_batch`): called with the keyword arguments; without any if there are none;
- a factory, which is a function called ``make_policy`` or one that the file or the package itself defines: likewise;
- a function whose only required parameter is called ``observation`` or ``obs``: it is the policy's `act`;
- an object with `reset` and `act` (or `act_batch`): used as it is (and takes no arguments).

What it is is looked at before anything is called. Nothing of the standard library is a policy. A URI is only ever taken
from the user (the command line, a call), never from a file of somebody else.

Values are text, percent-decoded, unless they are JSON: a number that Python reads without loss, true, false, null,
"text", [...] or {...}. A number with an exponent needs its sign (``1e-4``, ``1e+5``): ``12e45`` is more often a hash.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import importlib.util
import inspect
import json
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import unquote

from oodbench.errors import OodbenchError, PolicyError, UnknownNameError, nearest
from oodbench.policies.base import EpisodeInfo, PolicySpec
from oodbench.policies.controls import POLICIES
from oodbench.redact import redacted
from oodbench.registry import Registry

DEFAULT_ATTR = "make_policy"


def _client(name: str) -> Callable[[], Callable[..., Any]]:
    """A client of oodbench.remote, imported when it is first wanted."""
    return lambda: importlib.import_module(f"oodbench.remote.{name}").connect


# Ways to policies that run elsewhere: scheme -> something that gives a factory of (address, **arguments).
SCHEMES: Registry[Callable[[], Callable[..., Any]]] = Registry(
    "policy scheme", group="oodbench.policy_schemes", lazy=True
)
for _scheme, _module in {
    "oodbench": "native", "openpi": "openpi", "vla-eval": "vla_eval", "groot": "groot", "openvla+http": "openvla",
    "lerobot": "lerobot",
}.items():  # fmt: skip
    SCHEMES.add(_scheme, _client(_module))


@dataclass(frozen=True)
class LoadedPolicy:
    """A policy that can be made, any number of times.

    uri: without secrets, to be shown. paths: the files that it comes from, and those that its arguments name.
    """

    uri: str
    name: str
    factory: Callable[[], Any]
    paths: tuple[str, ...] = ()

    @cached_property
    def files(self) -> dict[str, str]:
        """What it was loaded from, path -> SHA-256; checkpoints too, so that a run is not gone on with by another."""
        return {path: _sha256(Path(path)) for path in self.paths}

    def make(self) -> Any:
        """A new instance. Raises PolicyError when its constructor fails or it lacks `reset` or `act`."""
        try:
            policy = self.factory()
        except OodbenchError:
            raise
        except Exception as error:
            raise PolicyError(f"policy {self.uri}: cannot be made: {describe(error)}") from error
        _refuse_without_methods(policy, type(policy).__name__, self.uri)
        return policy


def load_policy(uri: str) -> LoadedPolicy:
    """Find what `uri` names. Raises UnknownNameError or PolicyError, in one line that names the way out."""
    location, _, query = uri.partition("?")
    arguments = _arguments(query)
    uri = redacted(uri)  # from here on it is only shown
    scheme, elsewhere, address = location.partition("://")
    if elsewhere:
        client = SCHEMES.get(scheme)()
        return LoadedPolicy(uri, scheme, lambda: _call(client, {"address": address} | arguments, uri))
    head, colon, attr = location.rpartition(":") if ":" in location else (location, "", "")
    if head.endswith(".py"):
        module = _import_file(Path(head), uri)
        paths = [head]
    elif colon:
        if head.partition(".")[0] in sys.stdlib_module_names:
            raise PolicyError(f"policy {uri}: {head} is of Python's standard library, which has no policies")
        module = _import_module(head, uri)
        source = getattr(module, "__file__", None)
        paths = [source] if source else []
    elif "/" in location:
        raise PolicyError(f"policy {uri}: a path must end in .py, with :attr behind it, e.g. my_policy.py:MyPolicy")
    else:
        thing = POLICIES.get(location)
        return LoadedPolicy(uri, location, lambda: _call(thing, arguments, uri), _named(arguments))
    thing = _attribute(module, attr or DEFAULT_ATTR, uri)
    name = attr if attr and attr != DEFAULT_ATTR else Path(head).stem
    return LoadedPolicy(uri, name, lambda: _make(thing, arguments, uri, module), (*paths, *_named(arguments)))


def spec_of(policy: Any) -> PolicySpec:
    """What a policy declares, or the defaults. Raises PolicyError when its `spec` is something else."""
    spec = getattr(policy, "spec", None)
    if spec is None:
        return PolicySpec()
    if not isinstance(spec, PolicySpec):
        raise PolicyError(f"policy {type(policy).__name__}: spec must be an oodbench.policies.PolicySpec")
    spec.check(type(policy).__name__)
    return spec


def refuse_shared(policies: Sequence[Any], uri: str) -> None:
    """See that episodes which are played at once have policies of their own.

    Args:
        policies: What `LoadedPolicy.make` gave for each of them.
        uri: Of the policy, for the message.

    Raises:
        PolicyError: Two of them are one object, which does not say that it keeps nothing (`stateless = True`).
    """
    shared = len({id(policy) for policy in policies}) < len(policies)
    if shared and not getattr(policies[0], "stateless", False):
        raise PolicyError(
            f"policy {uri}: is one object, and the episodes that are played at once would mix in it; give its class or "
            "a factory (file.py:MyPolicy), give it act_batch(), or set `stateless = True` on it if it keeps nothing"
        )


class FunctionPolicy:
    """A policy made of one function of the observation."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self._function = function
        self.spec = getattr(function, "spec", None) or PolicySpec()

    def reset(self, episode: EpisodeInfo) -> None:
        pass

    def act(self, observation: Any) -> Any:
        return self._function(observation)


def describe(error: BaseException) -> str:
    """One line: the exception, and where in whose file it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if "importlib" not in f.filename and f"{Path(__file__).parent}" not in f.filename]
    where = f" ({Path(own[-1].filename).name}:{own[-1].lineno})" if own else ""
    if isinstance(error, SyntaxError) and error.filename:
        where = f" ({Path(error.filename).name}:{error.lineno})"
    text = str(error).splitlines()[0] if str(error) else ""
    return f"{type(error).__name__}: {text}{where}" if text else f"{type(error).__name__}{where}"


def _make(thing: Any, arguments: dict[str, Any], uri: str, module: ModuleType) -> Any:
    """A policy of what `uri` names in `module`. Raises PolicyError, before anything is called, when it is none."""
    if inspect.isfunction(thing) and _is_act(thing):
        if arguments:
            raise PolicyError(f"policy {uri}: a plain act function takes no arguments")
        return FunctionPolicy(thing)
    if inspect.isclass(thing):
        _refuse_without_methods(thing, thing.__name__, uri)
    elif inspect.isfunction(thing):
        if thing.__name__ != DEFAULT_ATTR and not _is_of(thing, module):
            raise PolicyError(
                f"policy {uri}: {thing.__module__}.{thing.__qualname__} is not a policy; a factory is a function "
                f"called {DEFAULT_ATTR}, or one that {module.__name__} itself defines"
            )
    else:
        _refuse_without_methods(thing, type(thing).__name__, uri)
        if arguments:
            raise PolicyError(
                f"policy {uri}: names an object that is made already and takes no arguments "
                f"({', '.join(arguments)}); give its class"
            )
        return thing
    return _call(thing, arguments, uri)


def _call(factory: Callable[..., Any], arguments: dict[str, Any], uri: str) -> Any:
    """What a class or a factory gives. Raises PolicyError when it does not take the arguments."""
    try:
        inspect.signature(factory).bind(**arguments)
    except TypeError as error:
        known = [p for p in inspect.signature(factory).parameters if p not in ("args", "kwargs")]
        raise PolicyError(f"policy {uri}: {error}; it takes: {', '.join(known) or 'no arguments'}") from None
    except ValueError:  # no signature to be had (of an extension class): let the call speak
        pass
    return factory(**arguments)


def _refuse_without_methods(thing: Any, name: str, uri: str) -> None:
    for methods in (("reset",), ("act", "act_batch")):
        if not any(callable(getattr(thing, method, None)) for method in methods):
            raise PolicyError(f"policy {uri}: {name} has no method {'() or '.join(methods)}()")


def _is_of(function: Callable[..., Any], module: ModuleType) -> bool:
    """Whether a module's own package defines the function (and not Python itself)."""
    defined = function.__module__.partition(".")[0]
    return defined == module.__name__.partition(".")[0] and defined not in sys.stdlib_module_names


def _is_act(function: Callable[..., Any]) -> bool:
    required = [p for p in inspect.signature(function).parameters.values() if p.default is p.empty]
    return len(required) == 1 and required[0].name in ("observation", "obs")


def _import_file(path: Path, uri: str) -> ModuleType:
    if not path.is_file():
        near = nearest(path.name, [p.name for p in path.parent.glob("*.py")]) if path.parent.is_dir() else None
        advice = f"; did you mean {path.parent / near}?" if near else ""
        raise PolicyError(f"policy {uri}: no such file: {path}{advice}")
    name = f"oodbench_policy_{path.stem}_{_sha256(path)[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # so that dataclasses and pickles of the file work
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)  # a policy file may import its neighbours
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        sys.modules.pop(name, None)
        raise PolicyError(f"policy {uri}: fails to import: {describe(error)}") from error
    return module


def _import_module(name: str, uri: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and name.startswith(error.name):
            raise PolicyError(f"policy {uri}: no module {error.name!r} is installed") from None
        raise PolicyError(f"policy {uri}: fails to import: {describe(error)}") from error
    except Exception as error:
        raise PolicyError(f"policy {uri}: fails to import: {describe(error)}") from error


def _attribute(module: ModuleType, attr: str, uri: str) -> Any:
    if not hasattr(module, attr):
        names = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
        raise UnknownNameError("policy attribute", attr, names, f"(in {uri})")
    return getattr(module, attr)


def _arguments(query: str) -> dict[str, Any]:
    """Of ``key=value&key=value``. A plus is a plus, as in names of files."""
    pairs = (part.partition("=") for part in query.split("&") if part)
    return {unquote(key): _value(unquote(text)) for key, _, text in pairs}


def _value(text: str) -> Any:
    """JSON where it can be read without loss, the text itself otherwise."""
    try:
        return json.loads(text, parse_float=_exact, parse_int=_whole, parse_constant=_exact)
    except (ValueError, RecursionError):
        return text


def _exact(text: str) -> float:
    """Raises ValueError for what is no plain, finite number, or loses digits as one."""
    mantissa, exponent, power = text.lower().partition("e")
    value = float(text)
    if not mantissa or (exponent and power[:1] not in "+-") or Decimal(text) != Decimal(repr(value)):
        raise ValueError(text)
    if value in (float("inf"), float("-inf")) or value != value:
        raise ValueError(text)
    return value


def _whole(text: str) -> int:
    value = int(text)
    if str(value) != text:  # -0
        raise ValueError(text)
    return value


def _named(arguments: dict[str, Any]) -> tuple[str, ...]:
    """The files that arguments name: checkpoints, and what lies in a checkpoint's folder."""
    found: list[str] = []
    for value in arguments.values():
        if not isinstance(value, str) or not value or "\0" in value:
            continue
        path = Path(value)
        with contextlib.suppress(OSError):  # a name that no file can have
            if path.is_file():
                found.append(value)
            elif path.is_dir():
                found += [str(file) for file in sorted(path.iterdir()) if file.is_file()]
    return tuple(found)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
