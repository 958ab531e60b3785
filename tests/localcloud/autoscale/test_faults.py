"""What `compile_formula` refuses, and where it says the fault is."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.batch.autoscale import EVALUATION_ERROR, Evaluation, FormulaError, compile_formula
from tests.localcloud.autoscale.state import CURRENT, NOW, store


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("$something_useless", 1, 1, "neither a service-defined variable nor set"),
        ("x = 1;\ny = z + 1;", 2, 5, "'z' is used before it is set"),
        ("x = x + 1;", 1, 5, "'x' is used before it is set"),
        ("x = 1 +;", 1, 8, "expected a value, found ';'"),
        ("x = (1 + 2;", 1, 11, "expected ')', found ';'"),
        ("x = 1 y = 2", 1, 7, "expected ';', found 'y'"),
        ("x = 1 ? 2;", 1, 10, "expected ':', found ';'"),
        ("x = max(1, );", 1, 12, "expected a value"),
        ("x = max(1", 1, 10, "expected ')', found the end of the formula"),
        ("x = 1 % 2", 1, 7, "unexpected character '%'"),
        ('\r\n\r\n  x = "open', 3, 7, "the string is not closed"),
        ("x = 1; /* open", 1, 8, "the comment is not closed"),
        ("x = avrg(1)", 1, 9, "there is no function 'avrg'"),
        ("x = $PendingTasks.Sample(1)", 1, 25, "there is no method 'Sample'"),
        ("x = $PendingTasks.GetSample(1).Count()", 1, 37, "is a method of metrics"),
        ("x = 1; y = x.Count()", 1, 19, "'x' is none"),
        ("$CPUPercent = 1", 1, 1, "$CPUPercent is read-only"),
        ("$TaskSlotsPerNode = 1", 1, 1, "read-only"),
        ("TimeInterval_Hour = 1", 1, 1, "a constant of the language"),
        ("requeue = 1", 1, 1, "a constant of the language"),
        ("x = time(1, 2)", 1, 9, "takes 1 arguments"),
        ("x = rand(1)", 1, 9, "takes 0 arguments"),
        ("x = 1.", None, None, ""),
        ("x = a.b.", 1, 9, "expected the name of a member"),
        ('x "=" 1', 1, 3, "expected ';'"),
        ("= 1", 1, 1, "expected a value"),
        ("x == 1", 1, 1, "used before it is set"),
    ],
)
def test_a_fault_is_told_with_line_and_column(text: str, line: int | None, column: int | None, message: str) -> None:
    if line is None:
        compile_formula(text)
        return
    with pytest.raises(FormulaError) as caught:
        compile_formula(text)
    assert (caught.value.line, caught.value.column) == (line, column)
    assert message in caught.value.message
    assert caught.value.code == EVALUATION_ERROR
    assert str(caught.value).startswith(f"Line {line}, Col {column}: ")


def test_more_than_8_kb_are_refused() -> None:
    compile_formula("x = 1;" + " " * (8192 - 6))
    with pytest.raises(FormulaError, match="8193 bytes"):
        compile_formula("x = 1;" + " " * (8192 - 5))


def test_more_than_a_hundred_statements_are_refused_and_empty_ones_do_not_count() -> None:
    compile_formula("x = 1;;" * 100)
    with pytest.raises(FormulaError, match="more than 100 statements") as caught:
        compile_formula("x = 1;\n" * 101)
    assert caught.value.line == 101


@pytest.mark.parametrize("text", ["x = " + "(" * 3000, "x = " + "-" * 3000 + "1", "x = " + "1?1:" * 1500 + "1"])
def test_endless_nesting_is_a_fault_and_no_crash(text: str) -> None:
    with pytest.raises(FormulaError, match="nested more than"):
        compile_formula(text)


def test_an_endless_row_of_members_is_a_fault_and_no_crash() -> None:
    with pytest.raises(FormulaError, match="members in a row"):
        compile_formula("x = time()" + ".hour" * 1000)


_WORDS = st.sampled_from(
    [
        "$PendingTasks",
        ".GetSample",
        ".GetSamplePercent",
        ".Count()",
        "$TargetDedicatedNodes",
        "x",
        "y",
        "=",
        "==",
        "(",
        ")",
        ",",
        ";",
        "?",
        ":",
        "+",
        "-",
        "*",
        "/",
        "!",
        "<",
        ">=",
        "&&",
        "||",
        "1",
        "0",
        "2.5",
        "1e308",
        "TimeInterval_Year",
        "time()",
        '"2026-11-21"',
        "avg(",
        "max(",
        "val(",
        "vec(",
        "percentile(",
        "round(",
        "lg(",
        "std(",
        ".hour",
        ".weekday",
        "taskcompletion",
        "$NodeDeallocationOption",
        "stop()",
        "//",
        "\n",
        " ",
    ]
)
_ALPHABET = string.ascii_letters + string.digits + "$_ .,;:?!+-*/=<>&|()\"'\\\n\r\t%é"


def _outcome(text: str) -> Evaluation | FormulaError:
    try:
        formula = compile_formula(text)
    except FormulaError as error:
        return error
    return formula.evaluate(now=NOW, samples=store(3, PendingTasks=2), current=CURRENT)


@given(st.one_of(st.text(), st.text(alphabet=_ALPHABET), st.lists(_WORDS).map("".join)))
def test_any_text_gives_a_formula_error_or_an_evaluation(text: str) -> None:
    outcome = _outcome(text)
    if isinstance(outcome, FormulaError):
        assert outcome.line >= 1
        assert outcome.column >= 1
    else:
        assert outcome.target_dedicated >= 0
        assert outcome.target_low_priority >= 0


_DOUBLES = st.floats(allow_nan=False, allow_infinity=False, min_value=0).map(lambda number: f"{number!r}")


def _expressions(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    names = st.sampled_from(["avg", "max", "min", "sum", "norm", "std", "len", "round", "ceil", "lg", "vec", "range"])
    return st.one_of(
        st.tuples(parts, st.sampled_from("+-*/<>"), parts).map(lambda p: f"({p[0]} {p[1]} {p[2]})"),
        st.tuples(parts, parts, parts).map(lambda p: f"({p[0]} ? {p[1]} : {p[2]})"),
        st.tuples(names, st.lists(parts, max_size=3)).map(lambda p: f"{p[0]}({', '.join(p[1])})"),
        parts.map(lambda p: f"-{p}"),
        st.tuples(st.sampled_from(["val", "percentile"]), parts, parts).map(lambda p: f"{p[0]}({p[1]}, {p[2]})"),
        st.tuples(parts, parts).map(lambda p: f"$PendingTasks.GetSample({p[0]}, {p[1]})"),
        parts.map(lambda p: f"$PendingTasks.GetSamplePercent({p})"),
    )


_LEAVES = st.one_of(
    _DOUBLES,
    st.sampled_from(
        ["TimeInterval_Year", "TimeInterval_Second", "time()", "$PendingTasks", "$PendingTasks.GetSample(3)"]
    )
    | st.sampled_from(['"a"', 'time("2026-11-21T11:30:00Z")', "time().hour", "rand()", "$TargetDedicatedNodes"]),
)


@given(st.recursive(_LEAVES, _expressions, max_leaves=12))
def test_any_expression_that_compiles_gives_a_value_or_an_error_with_its_place(expression: str) -> None:
    outcome = _outcome(f"x = {expression}; $TargetDedicatedNodes = x")
    if isinstance(outcome, Evaluation) and outcome.error is not None:
        assert outcome.error.detail.startswith("Line 1, Col ")
