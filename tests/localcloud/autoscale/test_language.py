"""Values, operators, functions and statements of the language."""

import pytest

from localcloud.batch.autoscale import SampleStore, compile_formula
from tests.localcloud.autoscale.state import NOW, fault, run, value


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("1 + 2 * 3", "7"),
        ("(1 + 2) * 3", "9"),
        ("10 - 4 - 3", "3"),
        ("8 / 4 / 2", "1"),
        ("-2 * -3", "6"),
        ("7 / 2", "3.5"),
        (".5 + 1e1", "10.5"),
        ("!0 + !5", "1"),
        ("1 < 2 && 2 <= 2 && 3 > 2 && 3 >= 3", "1"),
        ("1 == 2 || 1 != 1", "0"),
        ("2 > 1 == 1", "1"),
        ('"abc" < "abd"', "1"),
        ("0 ? 1 : 0 ? 2 : 3", "3"),
        ("0.1 ? 1 : 2", "1"),
        ("1 / 0", "Infinity"),
        ("-1 / 0", "-Infinity"),
        ("0 / 0", "NaN"),
    ],
)
def test_doubles_and_strings_follow_the_precedence_of_c(expression: str, expected: str) -> None:
    assert value(expression) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("vec(1, 2, 3) * 2", "[2,4,6]"),
        ("vec(1, 2, 3) - 1", "[0,1,2]"),
        ("vec(1, 2) / vec(2, 4)", "[0.5,0.5]"),
        ("TimeInterval_Minute * 5", "00:05:00"),
        ("1.5 * TimeInterval_Hour", "01:30:00"),
        ("TimeInterval_Day / 2 + TimeInterval_Day", "1.12:00:00"),
        ("-TimeInterval_Second", "-00:00:01"),
        ("TimeInterval_100ns", "00:00:00.0000001"),
        ("TimeInterval_Week == 7 * TimeInterval_Day", "1"),
        ("TimeInterval_Zero < TimeInterval_Microsecond", "1"),
        ("time()", "2026-11-21T12:00:00.000Z"),
        ("time() + TimeInterval_Hour", "2026-11-21T13:00:00.000Z"),
        ("-6 * TimeInterval_Hour + time()", "2026-11-21T06:00:00.000Z"),
        ('time() - time("2026-11-21T11:30:00Z")', "00:30:00"),
        ('time("Sat, 21 Nov 2026 12:00:00 GMT") == time()', "1"),
        ('time("2026-11-21T13:00:00.1234567+01:00")', "2026-11-21T12:00:00.123Z"),
        ('time("") == time()', "1"),
        ("time().year + time().month + time().day", "2058"),
        ("time().hour * 60 + time().minute + time().second", "720"),
        ("time().weekday", "6"),
        ('time("2026-11-22T00:00:00Z").weekday', "0"),
        ('time("2026-11-23").weekday', "1"),
    ],
)
def test_vectors_intervals_and_timestamps_combine_as_the_table_says(expression: str, expected: str) -> None:
    assert value(expression) == expected


@pytest.mark.parametrize(
    ("left", "operator", "right"),
    [
        ("1", "+", "TimeInterval_Second"),
        ("1", "-", "vec(1)"),
        ("1", "/", "TimeInterval_Second"),
        ("vec(1)", ">", "0"),
        ("vec(1)", "==", "vec(1)"),
        ("time()", "-", "TimeInterval_Hour"),
        ("time()", "+", "time()"),
        ("time()", "<", "TimeInterval_Hour"),
        ("TimeInterval_Hour", "*", "TimeInterval_Hour"),
        ('"a"', "+", '"b"'),
        ('"1"', "==", "1"),
    ],
)
def test_a_pair_that_the_table_does_not_list_is_an_error_at_the_operator(left: str, operator: str, right: str) -> None:
    detail = fault(f"x = {left} {operator} {right}")
    assert detail.startswith(f"Line 1, Col {len(left) + 6}: operator '{operator}' is not defined for ")


@pytest.mark.parametrize("operand", ["vec(1)", "time()", '"a"'])
def test_minus_needs_a_double_or_an_interval(operand: str) -> None:
    assert "Line 1, Col 5" in fault(f"x = -{operand}")


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("avg(vec(1, 2, 3), 6)", "3"),
        ("len(vec(1, 2, 3), 6)", "4"),
        ("len()", "0"),
        ("lg(8)", "3"),
        ("lg(vec(8), 2)", "[3,1]"),
        ("ln(1)", "0"),
        ("log(1000)", "3"),
        ("log(0)", "-Infinity"),
        ("ln(-1)", "NaN"),
        ("max(1, vec(5, 2))", "5"),
        ("min(4, vec(5, 2))", "2"),
        ("norm(3, 4)", "5"),
        ("percentile(vec(5, 1, 4, 2, 3), 50)", "3"),
        ("percentile(vec(5, 1, 4, 2, 3), 95)", "5"),
        ("percentile(vec(5, 1), 0)", "1"),
        ("range(vec(3, 9), 5)", "6"),
        ("round(2.5)", "3"),
        ("round(-2.5)", "-3"),
        ("round(0.49999999999999994)", "0"),
        ("round(vec(1.4, 1.6))", "[1,2]"),
        ("ceil(1.1) + floor(1.9)", "3"),
        ("std(2, 4, 4, 4, 5, 5, 7, 9) * std(2, 4, 4, 4, 5, 5, 7, 9) * 7", "32"),
        ("sum(1, vec(2, 3))", "6"),
        ("sum()", "0"),
        ("val(vec(7, 8, 9), 1)", "8"),
    ],
)
def test_functions_give_what_their_page_says(expression: str, expected: str) -> None:
    result = value(expression)
    assert result == expected or float(result) == pytest.approx(float(expected), rel=1e-12)


@pytest.mark.parametrize(
    "expression",
    [
        "avg()",
        "max()",
        "std(1)",
        "val(vec(1), 1)",
        "val(vec(1), -1)",
        "percentile(vec(), 50)",
        "avg(time())",
        "percentile(vec(1), 101)",
        "time(1)",
        'time("soon")',
        "time().decade",
        "(1).hour",
    ],
)
def test_a_function_that_cannot_answer_fails_the_evaluation(expression: str) -> None:
    assert fault(f"x = {expression}").startswith("Line 1, Col ")


def test_rand_is_between_zero_and_one_and_the_same_for_the_same_moment() -> None:
    first = value("rand()")
    assert 0 <= float(first) < 1
    assert value("rand()") == first


def test_rand_can_be_given() -> None:
    evaluation = compile_formula("x = rand()").evaluate(now=NOW, samples=SampleStore(), current={}, rand=lambda: 0.25)
    assert evaluation.variables["x"] == "0.25"


def test_only_the_chosen_branch_is_evaluated() -> None:
    assert value("1 ? 2 : val(vec(), 0)") == "2"
    assert value("0 && val(vec(), 0)") == "0"
    assert value("1 || val(vec(), 0)") == "1"


def test_targets_are_cut_to_whole_numbers_and_listed_first() -> None:
    evaluation = run("b = 2; $a = 1; $TargetDedicatedNodes = 2.9; $TargetLowPriorityNodes = 0.99;")
    assert (evaluation.target_dedicated, evaluation.target_low_priority) == (2, 0)
    assert evaluation.results == (
        "$TargetDedicatedNodes=2;$TargetLowPriorityNodes=0;$NodeDeallocationOption=requeue;$a=1;b=2"
    )


def test_a_target_that_is_not_set_stays() -> None:
    assert run("$TargetDedicatedNodes = 9").target_low_priority == 3


def test_the_full_name_wins_over_the_alias_in_either_order() -> None:
    assert run("$TargetDedicatedNodes = 5; $TargetDedicated = 7").target_dedicated == 5
    assert run("$TargetLowPriority = 7").target_low_priority == 7


def test_a_target_can_be_read_before_and_after_it_is_set() -> None:
    evaluation = run("a = $TargetDedicatedNodes; $TargetDedicated = a + 1; $TargetLowPriorityNodes = $TargetDedicated")
    assert (evaluation.target_dedicated, evaluation.target_low_priority) == (3, 3)


@pytest.mark.parametrize("wrong", ["-1", "1/0", "0/0", "3e9", '"many"', "time()", "vec(1)"])
def test_a_target_that_is_no_count_of_nodes_is_an_error_that_changes_nothing(wrong: str) -> None:
    evaluation = run(f"x = 1;\n$TargetDedicatedNodes = {wrong};")
    assert evaluation.error is not None
    assert evaluation.error.detail.startswith("Line 2, Col 1: $TargetDedicatedNodes ")
    assert evaluation.results == ("$TargetDedicatedNodes=2;$TargetLowPriorityNodes=3;$NodeDeallocationOption=requeue")


@pytest.mark.parametrize("option", ["requeue", "terminate", "taskcompletion", "retaineddata"])
def test_the_deallocation_option_is_one_of_four(option: str) -> None:
    assert run(f"$NodeDeallocationOption = {option};").deallocation_option == option


def test_the_deallocation_option_can_be_chosen_by_a_condition() -> None:
    formula = "$NodeDeallocationOption = time().hour > 6 ? taskcompletion : requeue"
    assert run(formula).deallocation_option == "taskcompletion"


def test_another_deallocation_option_is_refused() -> None:
    assert "must be one of requeue" in fault('$NodeDeallocationOption = "never"')


def test_stop_ends_the_run_and_keeps_what_is_set() -> None:
    evaluation = run("$TargetDedicatedNodes = 1; stop(); $TargetDedicatedNodes = 8;")
    assert evaluation.error is None
    assert evaluation.target_dedicated == 1


def test_comments_and_line_ends_of_all_systems_are_skipped() -> None:
    text = "// one\r\nx = 1; /* two\n * three */ y = x + // four\n 1;\n"
    assert run(text).variables == {"x": "1", "y": "2"}


def test_a_long_chain_of_operators_is_no_problem() -> None:
    assert value("1" + "+1" * 3000) == "3001"
