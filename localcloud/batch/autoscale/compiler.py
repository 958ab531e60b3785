"""The tree to closures: each expression becomes a function of the frame that gives its value."""

from collections.abc import Callable

from localcloud.batch.autoscale import sampling
from localcloud.batch.autoscale.errors import INSUFFICIENT_SAMPLE_DATA, FormulaError
from localcloud.batch.autoscale.frame import Code, Frame, Program, StopEvaluation
from localcloud.batch.autoscale.functions import FUNCTIONS, Function, number
from localcloud.batch.autoscale.operators import TypeMismatchError, binary, unary
from localcloud.batch.autoscale.reading import read_metric, read_target
from localcloud.batch.autoscale.samples import SampleStore
from localcloud.batch.autoscale.syntax import (
    Call,
    Chain,
    Choice,
    Expression,
    Field,
    Method,
    Name,
    Node,
    Number,
    Statement,
    Text,
    Unary,
)
from localcloud.batch.autoscale.values import Timestamp, Value, parse_time, timestamp_field, type_name
from localcloud.batch.autoscale.variables import (
    DEALLOCATION_OPTION,
    DEALLOCATION_OPTIONS,
    DEFAULT_DEALLOCATION,
    INTERVALS,
    METRIC_ALIASES,
    METRICS,
    READ_ONLY,
    TARGETS,
)


def compile_statements(statements: tuple[Statement, ...]) -> Program:
    """Raises FormulaError: unknown names, functions, methods; assignments that are not allowed."""
    known: set[str] = set()
    program: list[Callable[[Frame], None]] = []
    for statement in statements:
        code = _Compiler(known).code(statement.expression)
        program.append(_effect(code) if statement.target is None else _assignment(statement, code))
        if statement.target is not None:
            known.add(statement.target)
    return tuple(program)


def _effect(code: Code) -> Callable[[Frame], None]:
    def run(frame: Frame) -> None:
        code(frame)

    return run


def _assignment(statement: Statement, code: Code) -> Callable[[Frame], None]:
    target = statement.target or ""
    if target in READ_ONLY:
        raise _error(statement, f"{target} is read-only")
    if target in INTERVALS or target in DEALLOCATION_OPTIONS:
        raise _error(statement, f"'{target}' is a constant of the language and cannot be set")
    place = (statement.line, statement.column)

    def run(frame: Frame) -> None:
        frame.variables[target] = code(frame)
        frame.places[target] = place

    return run


def _error(node: Node, message: str) -> FormulaError:
    return FormulaError(message, line=node.line, column=node.column)


class _Compiler:
    """Compiles the expressions of one statement; `known` are the variables that earlier statements set."""

    def __init__(self, known: set[str]) -> None:
        self._known = known

    def code(self, node: Expression) -> Code:
        match node:
            case Number() | Text():
                value = node.value
                return lambda _: value
            case Name():
                return self._name(node)
            case Field():
                return self._field(node)
            case Call():
                return self._call(node)
            case Method():
                return self._method(node)
            case Unary():
                return self._unary(node)
            case Chain():
                return self._chain(node)
            case Choice():
                return self._choice(node)

    def _name(self, node: Name) -> Code:
        name = node.name
        if name in INTERVALS:
            interval = INTERVALS[name]
            return lambda _: interval
        if name in DEALLOCATION_OPTIONS:
            return lambda _: name
        if name in TARGETS:
            return read_target(name)
        if name == DEALLOCATION_OPTION:
            return lambda frame: frame.variables.get(name, DEFAULT_DEALLOCATION)
        if name in READ_ONLY:
            return read_metric(node)
        if name in self._known:
            return lambda frame: frame.variables[name]
        if name.startswith("$"):
            raise _error(node, f"'{name}' is neither a service-defined variable nor set before this place")
        raise _error(node, f"variable '{name}' is used before it is set")

    def _field(self, node: Field) -> Code:
        owner, wanted = self.code(node.owner), node.field

        def run(frame: Frame) -> Value:
            value = owner(frame)
            found = timestamp_field(value, wanted) if type(value) is Timestamp else None
            if found is None:
                raise _error(node, f"a {type_name(value)} has no member '{wanted}'")
            return found

        return run

    def _call(self, node: Call) -> Code:
        arguments = tuple(self.code(argument) for argument in node.arguments)
        match node.function:
            case "time":
                return _time(node, arguments)
            case "rand":
                _count_arguments(node, 0)
                return lambda frame: frame.rand()
            case "stop":
                _count_arguments(node, 0)
                return _stop
        function = FUNCTIONS.get(node.function)
        if function is None:
            raise _error(node, f"there is no function '{node.function}'")
        return _guarded(node, function, arguments)

    def _method(self, node: Method) -> Code:
        owner = node.owner
        method = sampling.METHODS.get(node.method)
        if method is None:
            raise _error(node, f"there is no method '{node.method}'")
        if not isinstance(owner, Name) or owner.name not in METRICS:
            subject = f"'{owner.name}'" if isinstance(owner, Name) else "the value before it"
            raise _error(node, f"'{node.method}' is a method of metrics; {subject} is none")
        name = METRIC_ALIASES.get(owner.name, owner.name)
        arguments = tuple(self.code(argument) for argument in node.arguments)

        def run(frame: Frame) -> Value:
            try:
                return method(frame.samples, name, frame.now, tuple(code(frame) for code in arguments))
            except sampling.NotEnoughSamplesError as lack:
                raise FormulaError(
                    str(lack), line=node.line, column=node.column, code=INSUFFICIENT_SAMPLE_DATA
                ) from lack
            except (TypeMismatchError, OverflowError) as error:
                raise _error(node, f"{node.method}: {error}") from error

        return run

    def _unary(self, node: Unary) -> Code:
        operand, operator = self.code(node.operand), node.operator

        def run(frame: Frame) -> Value:
            try:
                return unary(operator, operand(frame))
            except TypeMismatchError as error:
                raise _error(node, str(error)) from error

        return run

    def _chain(self, node: Chain) -> Code:
        first = self.code(node.first)
        if node.rest[0].operator in {"&&", "||"}:
            return self._logic(node, first)
        steps = tuple((step.operator, self.code(step.operand), step) for step in node.rest)

        def run(frame: Frame) -> Value:
            value = first(frame)
            for operator, operand, step in steps:
                try:
                    value = binary(operator, value, operand(frame))
                except (TypeMismatchError, OverflowError) as error:
                    raise _error(step, str(error)) from error
            return value

        return _folded(run) if _is_constant(node) else run

    def _logic(self, node: Chain, first: Code) -> Code:
        """`&&` and `||` from left to right; what the result no longer depends on is not evaluated."""
        decisive = node.rest[0].operator == "||"
        places: tuple[Node, ...] = (node.rest[0], *node.rest)
        codes = (first, *(self.code(step.operand) for step in node.rest))
        operands = tuple(zip(codes, places, strict=True))

        def run(frame: Frame) -> Value:
            for code, place in operands:
                if _truth(place, code(frame)) == decisive:
                    return float(decisive)
            return float(not decisive)

        return run

    def _choice(self, node: Choice) -> Code:
        test, yes, no = self.code(node.test), self.code(node.yes), self.code(node.no)
        return lambda frame: yes(frame) if _truth(node, test(frame)) else no(frame)


def _is_constant(node: Expression) -> bool:
    """`TimeInterval_Minute * 10`: the same whenever it is evaluated."""
    match node:
        case Number():
            return True
        case Name():
            return node.name in INTERVALS
        case Chain():
            return _is_constant(node.first) and all(_is_constant(step.operand) for step in node.rest)
    return False


def _folded(code: Code) -> Code:
    """A constant is worked out once; one that is an error stays code, and fails where it is reached."""
    try:
        value = code(Frame(now=Timestamp(0), samples=SampleStore(), current={}, rand=lambda: 0.0))
    except FormulaError:
        return code
    return lambda _: value


def _truth(node: Node, value: Value) -> bool:
    try:
        return number(value) != 0
    except TypeMismatchError as error:
        raise _error(node, str(error)) from error


def _stop(_: Frame) -> Value:
    raise StopEvaluation


def _count_arguments(node: Call, wanted: int) -> None:
    if len(node.arguments) != wanted:
        raise _error(node, f"{node.function}() takes {wanted} arguments, found {len(node.arguments)}")


def _guarded(node: Call, function: Function, arguments: tuple[Code, ...]) -> Code:
    def run(frame: Frame) -> Value:
        try:
            return function(tuple([code(frame) for code in arguments]))
        except TypeMismatchError as error:
            raise _error(node, f"{node.function}: {error}") from error

    return run


def _time(node: Call, arguments: tuple[Code, ...]) -> Code:
    if not arguments:
        return lambda frame: frame.now
    _count_arguments(node, 1)
    (text,) = arguments

    def run(frame: Frame) -> Value:
        value = text(frame)
        if type(value) is not str:
            raise _error(node, f"time() takes a string, found {type_name(value)}")
        try:
            return parse_time(value) if value else frame.now
        except (ValueError, OverflowError) as error:
            raise _error(node, f"'{value}' is no time in W3C-DTF or RFC 1123") from error

    return run
