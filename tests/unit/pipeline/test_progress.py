"""What people see while steps run."""

import io

from bucle.pipeline.output import StepOutput
from bucle.pipeline.progress import (
    CountProgress,
    LineProgress,
    SilentProgress,
    TerminalProgress,
    choose_progress,
)
from bucle.pipeline.tasks import TaskResult


class Screen(io.StringIO):
    def isatty(self):
        return True


def play(progress):
    progress.begin(3)
    progress.start("clean", "first run")
    progress.finish(TaskResult(name="clean", state="ran", why="first run", seconds=1.234))
    progress.finish(TaskResult(name="report", state="cached", why="nothing changed"))
    progress.finish(TaskResult(name="model", state="failed", why="first run", error="x"))
    progress.end()


def test_lines_tell_what_ran_and_what_failed_and_not_what_was_kept():
    stream = io.StringIO()
    play(LineProgress(stream))
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2
    assert "1.23 s  clean  (first run)" in lines[0]
    assert "FAILED" in lines[1]
    assert "\x1b" not in stream.getvalue()


def test_terminal_shows_what_is_running_and_leaves_the_line_clear():
    stream = Screen()
    play(TerminalProgress(stream))
    assert "0/3  clean" in stream.getvalue()
    assert stream.getvalue().endswith("\r\x1b[K")


def test_kind_of_stream_decides():
    assert isinstance(choose_progress(Screen()), TerminalProgress)
    assert isinstance(choose_progress(io.StringIO()), LineProgress)
    assert isinstance(choose_progress(Screen(), quiet=True), SilentProgress)


def test_output_is_shown_by_line_and_kept():
    stream = io.StringIO()
    output = StepOutput("clean", stream)
    output.write("a")
    assert stream.getvalue() == ""
    output.write("b\nc\nd")
    assert stream.getvalue() == "  clean | ab\n  clean | c\n"
    assert output.finish() == "ab\nc\nd"
    assert stream.getvalue().endswith("  clean | d\n")


def test_only_the_end_of_long_output_is_kept():
    output = StepOutput("clean", None)
    for number in range(30_000):
        output.write(f"{number}\n")
    kept = output.finish()
    assert len(kept) <= 64_000
    assert kept.endswith("29999\n")


def test_closed_stream_does_not_fail_the_step():
    stream = io.StringIO()
    output = StepOutput("clean", stream)
    stream.close()
    output.write("a\n")
    assert output.finish() == "a\n"


def count(progress, *, total, states):
    progress.begin(total)
    for number, state in enumerate(states):
        if state != "cached":
            progress.start(f"task {number}", "first run")
        progress.finish(TaskResult(name=f"task {number}", state=state, why="first run"))
    progress.end()


def test_counts_off_a_terminal_are_a_line_a_tenth():
    stream = io.StringIO()
    count(CountProgress(stream), total=200, states=["ran"] * 200)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 10
    assert lines[0] == "  20/200  task 19"
    assert lines[-1] == "  200/200  task 199"


def test_counts_say_how_many_failed():
    stream = io.StringIO()
    count(CountProgress(stream), total=10, states=["failed", *["ran"] * 9])
    assert stream.getvalue().splitlines()[4] == "  5/10, 1 failed  task 4"


def test_counts_of_little_work_and_of_what_was_kept_say_nothing():
    stream = io.StringIO()
    progress = CountProgress(stream)
    count(progress, total=9, states=["ran"] * 9)
    count(progress, total=50, states=["cached"] * 50)
    assert stream.getvalue() == ""


def test_counts_on_a_terminal_are_one_living_line():
    stream = Screen()
    count(CountProgress(stream), total=3, states=["ran", "ran", "cached"])
    assert "\n" not in stream.getvalue()
    assert "  1/3  task 1" in stream.getvalue()
    assert stream.getvalue().endswith("\r\x1b[K")


def test_counts_are_chosen_where_they_are_asked_for():
    assert isinstance(choose_progress(io.StringIO(), counts=True), CountProgress)
    assert isinstance(choose_progress(Screen(), counts=True, quiet=True), SilentProgress)
