"""From templates and parameters to the resources that they would deploy."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.infra.bicep.parser import parse
from tests.infra.bicep.syntax import (
    Access,
    Array,
    BicepError,
    Call,
    File,
    For,
    Literal,
    Name,
    Node,
    Object,
    Operation,
    Parameter,
    Resource,
    Template,
)

PYTHON_TYPES: dict[str, type] = {"string": str, "int": int, "bool": bool, "array": list, "object": dict}
_SCOPES = {"subscription", "resourceGroup", "deployment", "environment", "tenant"}


class Runtime(str):
    """A value that only Azure knows, written as the path to it."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """One resource as the templates would have it."""

    type: str
    version: str
    name: str
    body: Mapping[str, Any]
    """Without name, parent, scope and dependsOn."""
    scope: str
    """The id of the resource that an extension resource is about; else empty."""
    where: str
    """File and line."""

    @property
    def id(self) -> str:
        return resource_id(self.type, self.name)


@dataclass(slots=True)
class Deployment:
    """Everything that one template, with its modules, would deploy."""

    resources: list[Deployed] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)

    def of(self, kind: str) -> list[Deployed]:
        """The resources of a type."""
        return [item for item in self.resources if item.type == kind]


def resource_id(kind: str, name: str) -> str:
    return Runtime(f"/{kind}/{name}")


def evaluate(path: Path, parameters: Mapping[str, Any]) -> Deployment:
    """What the template at `path` deploys with these parameters.

    Raises BicepError for what the compiler would refuse and this can see: unknown names, parameters that are missing,
    unknown or of another type, values that are not allowed, outputs that a module has not.
    """
    return _Evaluator(path, parameters).run()


@dataclass(frozen=True, slots=True)
class _Handle:
    """What a resource's or module's symbolic name stands for."""

    values: Mapping[str, Any]
    label: str

    def get(self, key: str) -> Any:
        return self.values.get(key, Runtime(f"<{self.label}.{key}>"))


class _Evaluator:
    def __init__(self, path: Path, parameters: Mapping[str, Any]) -> None:
        self._path = path
        self._file: File = parse(path)
        self._names: dict[str, Any] = {}
        self._result = Deployment()
        self._running: set[str] = set()
        self._bind(parameters)

    def run(self) -> Deployment:
        for name in [*self._file.variables, *self._file.resources]:
            self._lookup(name, self._line_of(name))
        for output in self._file.outputs.values():
            self._result.outputs[output.name] = self._eval(output.value, {})
        used: set[str] = set()
        for part in (*self._file.variables.values(), *self._file.resources.values(), *self._file.outputs.values()):
            _names_in(part, used)
        unused = {*self._file.parameters, *self._file.variables} - used
        if unused:
            raise BicepError(f"{self._path}: declared and never used: {', '.join(sorted(unused))}")
        return self._result

    def _bind(self, given: Mapping[str, Any]) -> None:
        unknown = given.keys() - self._file.parameters.keys()
        if unknown:
            raise BicepError(f"{self._path}: no such parameters: {', '.join(sorted(unknown))}")
        for name, parameter in self._file.parameters.items():
            if name in given:
                value = given[name]
            elif parameter.default is not None:
                value = self._eval(parameter.default, {})
            else:
                raise BicepError(f"{self._path}:{parameter.line}: parameter {name} is not given")
            self._check(parameter, value)
            self._names[name] = value

    def _check(self, parameter: Parameter, value: Any) -> None:
        where = f"{self._path}:{parameter.line}: parameter {parameter.name}"
        wanted = PYTHON_TYPES[parameter.type]
        if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
            raise BicepError(f"{where} must be {parameter.type}, not {value!r}")
        allowed = parameter.decorator("allowed")
        if allowed is not None and not isinstance(value, Runtime):
            choices = self._eval(allowed.arguments[0], {})
            if value not in choices:
                raise BicepError(f"{where}: {value!r} is not one of {choices}")

    def _line_of(self, name: str) -> int:
        found = self._file.variables.get(name) or self._file.resources.get(name)
        return found.line if found else 0

    def _lookup(self, name: str, line: int) -> Any:
        if name not in self._names:
            if name in self._running:
                raise BicepError(f"{self._path}:{line}: {name} depends on itself")
            self._running.add(name)
            if name in self._file.variables:
                self._names[name] = self._eval(self._file.variables[name].value, {})
            elif name in self._file.resources:
                self._names[name] = self._declare(self._file.resources[name], None)
            else:
                raise BicepError(f"{self._path}:{line}: nothing is named {name}")
        return self._names[name]

    def _declare(self, resource: Resource, parent: Deployed | None) -> Any:
        if resource.condition is not None and not self._eval(resource.condition, {}):
            return _Handle({}, f"absent {resource.name}")
        if isinstance(resource.body, For):
            return [self._one(resource, body, scope, parent) for body, scope in self._rounds(resource.body, {})]
        return self._one(resource, resource.body, {}, parent)

    def _one(self, resource: Resource, body: Node, local: Mapping[str, Any], parent: Deployed | None) -> _Handle:
        where = f"{self._path.name}:{resource.line}"
        if not isinstance(body, Object):
            raise BicepError(f"{where}: {resource.name} has no body")
        values = self._eval(Object(body.line, body.entries), local)
        for depends in _listed(values.pop("dependsOn", [])):
            if not isinstance(depends, _Handle):
                raise BicepError(f"{where}: dependsOn holds {depends!r}")
        if resource.module:
            return self._module(resource, values, where)
        return self._resource(resource, values, body, parent, where)

    def _module(self, resource: Resource, values: dict[str, Any], where: str) -> _Handle:
        surplus = values.keys() - {"name", "scope", "params"}
        if surplus:
            raise BicepError(f"{where}: a module has no {', '.join(sorted(surplus))}")
        inner = evaluate(self._path.parent / resource.what, values.get("params", {}))
        self._result.resources += inner.resources
        return _Handle(
            {"outputs": _Handle(inner.outputs, f"{resource.name}.outputs"), "name": values["name"]}, "module"
        )

    def _resource(
        self, resource: Resource, values: dict[str, Any], body: Object, parent: Deployed | None, where: str
    ) -> _Handle:
        kind, _, version = resource.what.partition("@")
        name = values.pop("name")
        above = values.pop("parent", None)
        if above is not None:
            name = f"{above.values['name']}/{name}"
            if not kind.startswith(above.values["type"] + "/"):
                raise BicepError(f"{where}: {kind} is no child of {above.values['type']}")
        elif parent is not None:
            kind, version, name = f"{parent.type}/{kind}", version or parent.version, f"{parent.name}/{name}"
        scope = values.pop("scope", None)
        deployed = Deployed(
            type=kind,
            version=version,
            name=name,
            body=values,
            scope=str(scope.values["id"]) if isinstance(scope, _Handle) else "",
            where=where,
        )
        if not resource.existing:
            self._result.resources.append(deployed)
        for child in body.children:
            self._declare(child, deployed)
        # A property that the template sets is known; any other is Azure's to fill in.
        known = {"id": deployed.id, "name": name, "type": kind, "location": values.get("location")}
        properties = _Handle({}, f"{kind}/{name}.properties")
        return _Handle({**known, "properties": properties}, f"{kind}/{name}")

    def _rounds(self, loop: For, local: Mapping[str, Any]) -> Iterator[tuple[Node, dict[str, Any]]]:
        over = self._eval(loop.over, local)
        if not isinstance(over, list):
            raise BicepError(f"{self._path}:{loop.line}: a loop needs an array, not {over!r}")
        for number, item in enumerate(over):
            yield loop.body, {**local, loop.item: item, **({loop.index: number} if loop.index else {})}

    def _eval(self, node: Node, local: Mapping[str, Any]) -> Any:
        match node:
            case Literal():
                return node.value
            case Template():
                parts = [part if isinstance(part, str) else self._eval(part, local) for part in node.parts]
                text = "".join(str(part) for part in parts)
                return Runtime(text) if any(isinstance(part, Runtime) for part in parts) else text
            case Name():
                return local[node.name] if node.name in local else self._lookup(node.name, node.line)
            case Array():
                return [self._eval(item, local) for item in node.items]
            case For():
                return [self._eval(body, scope) for body, scope in self._rounds(node, local)]
            case Object():
                return {str(self._eval(key, local)): self._eval(value, local) for key, value in node.entries}
            case Access():
                return self._access(node, local)
            case Operation():
                return self._operation(node, local)
            case Call():
                return self._call(node, [self._eval(item, local) for item in node.arguments])

    def _access(self, node: Access, local: Mapping[str, Any]) -> Any:
        of, key = self._eval(node.of, local), self._eval(node.key, local)
        if isinstance(of, _Handle):
            if of.label.endswith(".outputs") and key not in of.values:
                raise BicepError(f"{self._path}:{node.line}: {of.label} has no {key}")
            return of.get(key)
        if isinstance(of, Runtime):
            return Runtime(f"{of}.{key}")
        try:
            return of[key]
        except (KeyError, IndexError, TypeError) as error:
            raise BicepError(f"{self._path}:{node.line}: there is no {key!r}") from error

    def _operation(self, node: Operation, local: Mapping[str, Any]) -> Any:
        if node.operator == "?":
            return self._eval(node.operands[1 if self._eval(node.operands[0], local) else 2], local)
        left = self._eval(node.operands[0], local)
        if node.operator == "&&":
            return left and self._eval(node.operands[1], local)
        if node.operator == "!":
            return not left
        right = self._eval(node.operands[1], local)
        if node.operator == "==":
            return left == right
        if node.operator == "+":
            return left + right
        raise BicepError(f"{self._path}:{node.line}: operator {node.operator} is not read here")

    def _call(self, node: Call, values: list[Any]) -> Any:
        name = node.function
        if name in _SCOPES:
            return _Handle({"suffixes": _Handle({"storage": "core.windows.net"}, "suffixes")}, f"{name}()")
        if name in ("loadJsonContent", "loadTextContent"):
            text = (self._path.parent / values[0]).read_text(encoding="utf-8")
            return json.loads(text) if name == "loadJsonContent" else text
        if name in ("uniqueString", "guid"):
            digest = hashlib.sha256("|".join(map(str, values)).encode()).hexdigest()
            return (
                digest[:13]
                if name == "uniqueString"
                else f"{digest[:8]}-{digest[8:12]}-4{digest[13:16]}-8{digest[17:20]}-{digest[20:32]}"
            )
        if name == "subscriptionResourceId":
            return resource_id(values[0], "/".join(map(str, values[1:])))
        if name == "empty":
            return not values[0]
        if name == "contains":
            return values[1] in values[0]
        if name == "union":
            return {key: value for each in values for key, value in each.items()}
        if name == "concat":
            return [item for each in values for item in each]
        if name == "int":
            return int(values[0])
        if name == "split":
            return values[0].split(values[1])
        if name == "toLower":
            return values[0].lower()
        raise BicepError(f"{self._path}:{node.line}: function {name} is not read here")


def _listed(value: Any) -> Iterator[Any]:
    for item in value:
        if isinstance(item, list):
            yield from item
        else:
            yield item


def _names_in(node: Any, found: set[str]) -> None:
    """Every name that an expression mentions, evaluated or not."""
    if isinstance(node, Name):
        found.add(node.name)
    for slot in getattr(node, "__slots__", ()):
        value = getattr(node, slot)
        for item in value if isinstance(value, tuple) else (value,):
            for part in item if isinstance(item, tuple) else (item,):
                if hasattr(part, "__slots__") and not isinstance(part, str):
                    _names_in(part, found)
