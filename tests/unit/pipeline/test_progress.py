"""What people see while steps run."""

import io

from bucle.pipeline.output import StepOutput
from bucle.pipeline.progress import LineProgress, SilentProgress, TerminalProgress, choose_progress
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
