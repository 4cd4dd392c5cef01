"""
Words as bytes (MessagePack), and back.

What is shared in a plan is shared again after it: plugins and configurations are written once, and referred to by
number. Unknown fields are passed over, so that a newer half can speak to an older one.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, Union, get_args

import msgspec
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from revproxy.config.document import Document
from revproxy.config.problems import writable
from revproxy.config.settings import Config, Isolation
from revproxy.permissions import Permissions
from revproxy.plan.catalog import CatalogEntry, Order, Selected
from revproxy.plan.pemfiles import PemFiles
from revproxy.plan.plan import Plan
from revproxy.plan.trial import Arm, Trial
from revproxy.plan.words import Down, Prepare, Up
from revproxy.secrets import Secret

_LARGE_NUMBER = 1
"""The type of the extension that is a whole number in hexadecimal digits."""

_SECRET = 2
"""The type of the extension that is a `Secret`."""

_AS_TEXT = (Path, Requirement, Version, SpecifierSet)


class _Selected(msgspec.Struct, frozen=True):
    """
    A plugin by name, and its configurations by number.

    :ivar entry: if it is another than the plan's.
    """

    name: str
    config: int | None
    perGroup: dict[int, int | None]
    isolation: Isolation = "inline"
    permissions: Permissions | None = None
    entry: CatalogEntry | None = None


_Order = tuple[tuple[int, int], ...]
"""Pairs of the numbers of a plugin and of its configuration."""


class _Arm(msgspec.Struct, frozen=True):
    """An arm: its plugins, its orders, each once, and for each route group the number of its order."""

    trials: tuple[str, ...]
    selected: tuple[_Selected, ...]
    orders: tuple[_Order, ...]
    groups: tuple[int, ...]


class _Plan(msgspec.Struct, frozen=True):
    """
    :ivar configs: each configuration once.
    :ivar orders: each order once: pairs of the numbers of a plugin in ``selected`` and of its configuration.
    :ivar groups: for each route group the number of its order.
    """

    number: int
    config: Config
    entries: dict[str, CatalogEntry]
    selected: tuple[_Selected, ...]
    configs: tuple[dict[str, Any], ...]
    orders: tuple[_Order, ...]
    groups: tuple[int, ...]
    switches: dict[str, bool]
    gates: dict[str, int]
    certificates: dict[str, PemFiles]
    required: tuple[str, ...] = ()
    missing: dict[str, tuple[int, ...]] = {}
    trials: tuple[Trial, ...] = ()
    arms: tuple[_Arm, ...] = ()


class _Prepare(msgspec.Struct, frozen=True, tag="Prepare"):
    """A `Prepare` as it is written."""

    transaction: int
    plan: _Plan
    starts: bool
    withoutState: bool
    isRescue: bool = False


def encode(word: Down | Up) -> bytes:
    """:returns: a word as MessagePack."""
    written: Any = word
    if isinstance(word, Prepare):
        written = _Prepare(word.transaction, _written(word.plan), word.starts, word.withoutState, word.isRescue)
    try:
        return _encoder.encode(written)
    except (OverflowError, UnicodeEncodeError):  # a configuration has a large number, or a plugin odd names
        plain = msgspec.to_builtins(written, builtin_types=(bytes, bytearray), enc_hook=_plainOrSecret)
        return _encoder.encode(_writable(plain))


def decode(data: bytes) -> Down | Up:
    """
    :raises msgspec.ValidationError: it is no word.
    """
    word = _decoder.decode(data)
    if isinstance(word, _Prepare):
        return Prepare(word.transaction, _read(word.plan), word.starts, word.withoutState, word.isRescue)
    return word  # type: ignore[no-any-return]


class _Numbers:
    """Gives each object one number, in the order in which they come."""

    def __init__(self) -> None:
        self.objects: list[Any] = []
        self._known: dict[int, int] = {}

    def of(self, thing: Any) -> int:
        """The number of this very object."""
        number = self._known.get(id(thing))
        if number is None:
            number = self._known[id(thing)] = len(self.objects)
            self.objects.append(thing)
        return number

    def orNone(self, thing: Any) -> int | None:
        """The same; None has none."""
        return None if thing is None else self.of(thing)


class _Chosen(Protocol):
    """A plan, or an arm of one."""

    @property
    def selected(self) -> tuple[Selected, ...]: ...
    @property
    def orderPerGroup(self) -> tuple[Order, ...]: ...


def _chosen(plan: Plan, chosen: _Chosen, configs: _Numbers) -> tuple[Any, Any, Any]:
    """:returns: what is selected, the orders, and for each route group the number of its own."""
    orders = _Numbers()
    numbers = {each.name: number for number, each in enumerate(chosen.selected)}
    selected = tuple(
        _Selected(
            each.name, configs.orNone(each.config), {at: configs.orNone(own) for at, own in each.perGroup.items()},
            each.isolation,
            each.permissions,
            None if plan.entries.get(each.name) is each.entry else each.entry,
        )
        for each in chosen.selected
    )
    groups = tuple(orders.of(order) for order in chosen.orderPerGroup)
    links = tuple(
        tuple((numbers[each.name], configs.of(settings)) for each, settings in order) for order in orders.objects
    )
    return selected, links, groups


def _written(plan: Plan) -> _Plan:
    configs = _Numbers()
    selected, links, groups = _chosen(plan, plan, configs)
    arms = tuple(_Arm(arm.trials, *_chosen(plan, arm, configs)) for arm in plan.arms)
    return _Plan(
        plan.number,
        plan.config,
        dict(plan.entries),
        selected,
        tuple(configs.objects),
        links,
        groups,
        dict(plan.switches),
        dict(plan.gates),
        dict(plan.certificates),
        plan.required,
        dict(plan.missing),
        plan.trials,
        arms,
    )


def _read(written: _Plan) -> Plan:
    configs = written.configs

    def configOf(number: int | None) -> Mapping[str, Any] | None:
        return None if number is None else configs[number]

    def chosenIn(part: _Plan | _Arm) -> tuple[tuple[Selected, ...], tuple[Order, ...]]:
        selected = tuple(
            Selected(
                each.entry or written.entries[each.name],
                configOf(each.config),
                {group: configOf(number) for group, number in each.perGroup.items()},
                each.isolation,
                each.permissions,
            )
            for each in part.selected
        )
        orders = [tuple((selected[plugin], configs[number]) for plugin, number in order) for order in part.orders]
        return selected, tuple(orders[number] for number in part.groups)

    return Plan(
        written.number,
        written.config,
        written.entries,
        *chosenIn(written),
        written.switches,
        written.gates,
        written.certificates,
        written.required,
        written.missing,
        written.trials,
        tuple(Arm(arm.trials, *chosenIn(arm)) for arm in written.arms),
    )


def _plain(value: Any) -> Any:
    if isinstance(value, _AS_TEXT):
        return str(value)
    if isinstance(value, Secret):
        return msgspec.msgpack.Ext(_SECRET, value.encode("utf-8", "surrogatepass"))
    if isinstance(value, Document):
        return [value.source, value.value] if value.text is None else [value.source, value.text, value.isJSON]
    raise NotImplementedError(f"{type(value).__name__} is no value that crosses the border")


def _plainOrSecret(value: Any) -> Any:
    """As `_plain`, for what takes no extensions: nothing but a secret is a bytearray."""
    return bytearray(_plain(value).data) if isinstance(value, Secret) else _plain(value)


def _writable(value: Any) -> Any:
    """
    The same, in which whole numbers that MessagePack does not have, and secrets, are extensions, and halves of
    surrogate pairs are escaped.
    """
    if isinstance(value, bytearray):
        return msgspec.msgpack.Ext(_SECRET, bytes(value))
    if isinstance(value, str):
        return writable(value)
    if isinstance(value, dict):
        return {_writable(key): _writable(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_writable(inner) for inner in value]
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return msgspec.msgpack.Ext(_LARGE_NUMBER, b"%x" % value)
    return value


def _extension(code: int, data: memoryview) -> int | Secret:
    if code == _SECRET:
        return Secret(bytes(data).decode("utf-8", "surrogatepass"))
    if code != _LARGE_NUMBER:
        raise ValueError(f"nobody writes extensions of type {code}")
    return int(bytes(data), 16)


def _made(kind: type, value: Any) -> Any:
    if kind is Document:
        source, content, *isJSON = value
        return Document.fromText(source, content, *isJSON) if isJSON else Document(source, content)
    if issubclass(kind, _AS_TEXT):
        return kind(value)
    raise NotImplementedError(f"{kind.__name__} is no value that crosses the border")


_Written: Any = Union[(_Prepare, *(kind for kind in (*get_args(Down), *get_args(Up)) if kind is not Prepare))]

_encoder = msgspec.msgpack.Encoder(enc_hook=_plain)
_decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(_Written, dec_hook=_made, ext_hook=_extension)
