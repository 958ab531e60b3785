"""Bicep's syntax tree, as far as our templates use it. Every node knows its line."""

from __future__ import annotations

from dataclasses import dataclass, field


class BicepError(Exception):
    """A template is wrong: `file:line: what`."""


@dataclass(frozen=True, slots=True)
class Literal:
    line: int
    value: str | int | bool | None


@dataclass(frozen=True, slots=True)
class Template:
    """A string with `${…}` in it: texts and expressions in turn."""

    line: int
    parts: tuple[str | Node, ...]


@dataclass(frozen=True, slots=True)
class Name:
    line: int
    name: str


@dataclass(frozen=True, slots=True)
class Call:
    line: int
    function: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Access:
    """`of.key` or `of[key]`."""

    line: int
    of: Node
    key: Node


@dataclass(frozen=True, slots=True)
class Operation:
    line: int
    operator: str
    operands: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Array:
    line: int
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Object:
    line: int
    entries: tuple[tuple[Node, Node], ...]
    children: tuple[Resource, ...] = ()
    """Resources that are declared inside this one."""


@dataclass(frozen=True, slots=True)
class For:
    line: int
    item: str
    index: str | None
    over: Node
    body: Node


Node = Literal | Template | Name | Call | Access | Operation | Array | Object | For


@dataclass(frozen=True, slots=True)
class Decorator:
    name: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Parameter:
    line: int
    name: str
    type: str
    default: Node | None
    decorators: tuple[Decorator, ...]

    def decorator(self, name: str) -> Decorator | None:
        return next((d for d in self.decorators if d.name == name), None)


@dataclass(frozen=True, slots=True)
class Variable:
    line: int
    name: str
    value: Node


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource or a module: `what` is `type@version` or a path."""

    line: int
    name: str
    what: str
    module: bool
    existing: bool
    condition: Node | None
    body: Node


@dataclass(frozen=True, slots=True)
class Output:
    line: int
    name: str
    type: str
    value: Node


@dataclass(slots=True)
class File:
    """One template."""

    path: str
    scope: str = "resourceGroup"
    parameters: dict[str, Parameter] = field(default_factory=dict)
    variables: dict[str, Variable] = field(default_factory=dict)
    resources: dict[str, Resource] = field(default_factory=dict)
    outputs: dict[str, Output] = field(default_factory=dict)
