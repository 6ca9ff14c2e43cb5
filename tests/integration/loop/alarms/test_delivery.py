"""Alarms on their way: servers that are dead, slow or wrong, programs that hang or fail."""

import json
import os
import socket
import sys
import threading
import time
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from textwrap import dedent

import pytest

from bucle.charter.reading import load_charter
from bucle.clock import SystemClock
from bucle.loop.alarms.command import Command
from bucle.loop.alarms.delivered import Delivered, Mark, _thinned
from bucle.loop.alarms.delivery import AlarmDelivery, Pace, start_delivery
from bucle.loop.alarms.messages import Message
from bucle.loop.alarms.webhook import Webhook
from bucle.loop.observations import AlarmRaised, AlarmResolved
from bucle.loop.workspace import Workspace
from bucle.store.sqlite_log import SqliteLog

SOON = 20.0
QUICK = Pace(look_s=0.01, first_s=0.01, longest_s=0.02, patience_s=60.0)
MESSAGE = Message(
    key="0a1b",
    position=3,
    at="2026-01-02T00:00:00.000000Z",
    project="shop",
    status="raised",
    layer="inputs",
    subject="brand",
    since="2026-01-01",
    why="more nulls",
    model="m-1",
    text="shop: alarm, inputs: brand: more nulls",
    examples=({"id": "p-1", "value": "a name"},),
)


def until(holds):
    """Wait until something holds; a machine under load may take its time."""
    deadline = time.monotonic() + SOON
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


# ---- a server ---------------------------------------------------------------


class Receiver:
    """A web server that answers as told; what it was sent is kept."""

    def __init__(self, *answers, headers=(), port=0):
        self.answers = list(answers)
        self.received = []
        self.paths = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.received.append((dict(self.headers), json.loads(body)))
                receiver.paths.append(self.path)
                answer = receiver.answers.pop(0) if receiver.answers else 200
                if callable(answer):
                    answer(self)
                    return
                self.send_response(answer)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=[0.01])
        self.thread.start()

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server.server_port}/hooks/SECRET?a=b"

    @property
    def keys(self):
        return [headers["Idempotency-Key"] for headers, _ in self.received]

    @property
    def texts(self):
        return [body["text"] for _, body in self.received]

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def receive():
    made = []

    def start(*answers, **options):
        made.append(Receiver(*answers, **options))
        return made[-1]

    yield start
    for one in made:
        one.close()


@pytest.fixture
def silent():
    """Return the port of a server that takes connections and never answers."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield server.getsockname()[1]


def free_port():
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return server.getsockname()[1]


def test_posts_a_document_and_keeps_rows_at_home(receive):
    server = receive(204)
    assert Webhook(server.address).send(MESSAGE) is None
    ((headers, body),) = server.received
    assert headers["Idempotency-Key"] == "0a1b"
    assert headers["Content-Type"] == "application/json"
    assert server.paths == ["/hooks/SECRET?a=b"]
    assert (body["status"], body["layer"], body["subject"]) == ("raised", "inputs", "brand")
    assert body["text"] == MESSAGE.text
    assert "examples" not in body
    assert "a name" not in json.dumps(body)


@pytest.mark.parametrize(
    ("status", "attempts"), [(500, None), (503, None), (404, None), (400, 3), (422, 3)]
)
def test_what_is_about_the_message_is_not_tried_for_ever(receive, status, attempts):
    failure = Webhook(receive(status).address).send(MESSAGE)
    assert failure.error.code == "bucle-404"
    assert str(status) in failure.error.cause
    assert failure.attempts == attempts
    assert "SECRET" not in failure.error.render()


def test_a_redirect_is_not_followed(receive):
    other = receive()
    server = receive(302, headers=[("Location", other.address)])
    failure = Webhook(server.address).send(MESSAGE)
    assert "nobody is followed" in failure.error.cause
    assert other.received == []


def test_who_asks_to_be_left_alone_is(receive):
    server = receive(429, 429, headers=[("Retry-After", "7")])
    assert Webhook(server.address).send(MESSAGE).wait_s == 7.0
    server = receive(503, headers=[("Retry-After", "9999999")])
    assert Webhook(server.address).send(MESSAGE).wait_s == 3600.0


def test_nobody_at_the_address_and_no_answer_are_failures(silent):
    for address, timeout in ((f"http://127.0.0.1:{free_port()}/", 5.0), (silent, 0.1)):
        place = address if isinstance(address, str) else f"http://127.0.0.1:{address}/"
        failure = Webhook(place, timeout_s=timeout).send(MESSAGE)
        assert failure.error.code == "bucle-403"
        assert failure.attempts is None


def test_an_answer_that_drips_has_an_end(receive):
    stop = threading.Event()

    def drip(handler):
        while not stop.wait(0.02):
            try:
                handler.wfile.write(b"H")
            except OSError:
                return

    server = receive(drip)
    failure = Webhook(server.address, limit_s=0.2).send(MESSAGE)
    stop.set()
    assert failure.error.code == "bucle-403"


@pytest.mark.parametrize(
    "answer", [b"", b"no HTTP\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200]
)
def test_an_answer_that_is_none_is_a_failure(receive, answer):
    def write(handler):
        handler.wfile.write(answer)
        handler.close_connection = True

    assert Webhook(receive(write).address).send(MESSAGE).error.code == "bucle-403"


def test_the_surroundings_of_a_machine_get_nothing(receive, monkeypatch):
    server = receive()
    for reached in ("169.254.169.254", "::ffff:169.254.169.254", "fe80::1%eth0", "fd00:ec2::254"):
        # The name leads somewhere harmless first: what counts is who was connected to.
        monkeypatch.setattr(socket.socket, "getpeername", lambda _, reached=reached: (reached, 80))
        failure = Webhook(server.address).send(MESSAGE)
        assert "surroundings" in failure.error.cause
    assert server.received == []


def test_a_name_that_cannot_be_one_is_a_failure():
    assert Webhook("http://a..b/").send(MESSAGE).error.code == "bucle-403"


# ---- a program --------------------------------------------------------------


@pytest.fixture
def program(tmp_path):
    """Return how to make a command from Python code; what it printed is in `said`."""

    def make(code, *arguments, limit_s=SOON):
        path = tmp_path / "tell.py"
        path.write_text(dedent(code))
        said = []
        argv = [sys.executable, "-I", "-S", str(path), *arguments]
        command = Command(argv, folder=tmp_path, say=said.append, limit_s=limit_s)
        command.said = said
        return command

    return make


def test_a_program_is_given_the_alarm_and_its_arguments_as_they_are(program, tmp_path):
    code = """
        import json, os, sys
        told = json.load(sys.stdin)
        print(told["text"], told["examples"][0]["value"], sys.argv[1:], os.getcwd())
        """
    command = program(code, "$HOME", "a b; exit 3")
    assert command.send(MESSAGE) is None
    (line,) = command.said
    expected = f"{MESSAGE.text} a name ['$HOME', 'a b; exit 3'] {tmp_path}"
    assert line == f"{sys.executable}: {expected}"


def test_a_program_that_fails_is_tried_a_few_times(program):
    failure = program("import sys; print('no network'); sys.exit(3)").send(MESSAGE)
    assert (failure.error.code, failure.attempts) == ("bucle-406", 5)
    assert "code 3" in failure.error.what
    assert "signal 9" in program("import os; os.kill(os.getpid(), 9)").send(MESSAGE).error.what


@pytest.mark.thorough
def test_a_program_that_hangs_is_ended_with_all_that_it_started(tmp_path):
    script = "sleep 600 & echo $! > child; sleep 600"
    command = Command(["/bin/sh", "-c", script], folder=tmp_path, say=print, limit_s=1.0)
    failure = command.send(MESSAGE)
    assert failure.error.code == "bucle-407"
    assert failure.attempts == 5
    until(lambda: not is_alive(int((tmp_path / "child").read_text())))


def is_alive(process):
    try:
        found = Path(f"/proc/{process}/stat").read_text()
        return found.rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_program_that_prints_without_end_fills_nothing(program):
    command = program(
        "import sys; sys.stdout.write('x' * 99 + '\\n'); sys.stdout.write('y' * 10**7)"
    )
    assert command.send(MESSAGE) is None
    assert sum(map(len, command.said)) < 10_000
    assert command.said[-1].endswith("bytes more)")


def test_many_lines_and_signs_for_terminals_are_cut(program):
    command = program("print('\\x1b[2J' * 2); print('\\n'.join(map(str, range(99))))")
    assert command.send(MESSAGE) is None
    assert "\x1b" not in "".join(command.said)
    assert len(command.said) == 21


@pytest.mark.thorough
def test_what_a_program_leaves_running_keeps_nobody_waiting(program, tmp_path):
    code = """
        import os, time
        child = os.fork()
        if not child:
            time.sleep(600)
        open("child", "w").write(str(child))
        """
    assert program(code).send(MESSAGE) is None
    os.kill(int((tmp_path / "child").read_text()), 9)


def test_a_program_that_is_not_there_is_a_failure(tmp_path):
    (tmp_path / "no.sh").write_text("echo hello")
    for name in ("./nowhere", "./no.sh", str(tmp_path)):
        failure = Command([name], folder=tmp_path, say=print).send(MESSAGE)
        assert failure.error.code == "bucle-405"


def test_a_relative_program_starts_in_the_project(tmp_path):
    script = tmp_path / "tell.sh"
    script.write_text("#!/bin/sh\ncat > told\n")
    script.chmod(0o755)
    assert Command(["./tell.sh"], folder=tmp_path, say=print).send(MESSAGE) is None
    assert json.loads((tmp_path / "told").read_text())["key"] == "0a1b"


# ---- delivery ---------------------------------------------------------------


class Project:
    """A project whose alarms go on record and are delivered."""

    def __init__(self, root, watch=""):
        self.root = root
        (root / "bucle.toml").write_text(f'[project]\nname = "shop"\n[watch]\n{watch}')
        loaded = load_charter(root, environ={})
        self.workspace = Workspace(root, loaded=loaded, actor="ana", clock=SystemClock())
        self.said = []
        self.running = []

    def raise_alarm(self, subject):
        self.workspace.record(
            AlarmRaised(layer="inputs", subject=subject, since="2026-01-01", why="it moved")
        )

    def resolve_alarm(self, subject):
        self.workspace.record(AlarmResolved(layer="inputs", subject=subject, why="over"))

    def start(self, **options):
        self.running.append(start_delivery(self.workspace, say=self.said.append, **options))
        return self.running[-1]

    def deliver(self, *channels, pace=QUICK):
        delivery = AlarmDelivery(
            channels,
            project="shop",
            open_log=lambda: SqliteLog(self.root / ".bucle/log.db", clock=SystemClock()),
            delivered=Delivered(self.progress),
            say=self.said.append,
            pace=pace,
        )
        delivery.start()
        self.running.append(delivery)
        until(lambda: self.position(*[one.kind for one in channels]) is not None)
        return delivery

    @property
    def progress(self):
        return self.root / ".bucle/watch/delivered"

    def position(self, *kinds):
        try:
            found = json.loads(self.progress.read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        marks = [found[kind] for kind in kinds if kind in found]
        if not all(isinstance(one, list) for one in marks):
            return None
        return min((one[-1][0] for one in marks), default=None)


@pytest.fixture
def project(tmp_path):
    made = Project(tmp_path)
    yield made
    for delivery in made.running:
        delivery.stop()


def test_alarms_and_their_ends_arrive_in_order(project, receive):
    server = receive()
    project.deliver(Webhook(server.address))
    project.raise_alarm("brand")
    project.raise_alarm("weight")
    project.resolve_alarm("brand")
    until(lambda: len(server.received) == 3)
    assert server.texts == [
        "shop: alarm, inputs: brand: it moved",
        "shop: alarm, inputs: weight: it moved",
        "shop: resolved, inputs: brand: over",
    ]
    assert server.keys == [event.hash for event in project.workspace.log.read()]
    assert project.said == []


def test_after_a_restart_nothing_is_sent_twice_and_what_came_meanwhile_is_sent(project, receive):
    server = receive()
    project.raise_alarm("old")
    delivery = project.deliver(Webhook(server.address))
    project.raise_alarm("brand")
    until(lambda: project.position("webhook") == 2)
    delivery.stop()
    project.raise_alarm("weight")
    project.resolve_alarm("old")
    project.deliver(Webhook(server.address))
    until(lambda: project.position("webhook") == 4)
    assert [body["subject"] for _, body in server.received] == ["brand", "weight", "old"]


def test_what_was_under_way_is_sent_again_under_the_same_key(project, receive):
    server = receive(500, 500)
    slow = Pace(look_s=0.01, first_s=60.0, longest_s=60.0)
    delivery = project.deliver(Webhook(server.address), pace=slow)
    project.raise_alarm("brand")
    until(lambda: server.received)
    delivery.stop()
    project.deliver(Webhook(server.address))
    until(lambda: project.position("webhook") == 1)
    assert len(server.keys) == 3
    assert len(set(server.keys)) == 1


def test_errors_are_tried_again_and_said_once(project, receive):
    server = receive(500, 500, 500, 500)
    project.deliver(Webhook(server.address))
    project.raise_alarm("brand")
    until(lambda: project.position("webhook") == 1)
    assert len(server.received) == 5
    assert [line.count("500") for line in project.said] == [1, 0]
    assert project.said[1].endswith("is told of alarms again")
    assert "SECRET" not in "".join(project.said)


def test_a_server_that_comes_back_is_sent_all_that_it_missed(project, receive):
    port = free_port()
    project.deliver(Webhook(f"http://127.0.0.1:{port}/"))
    for subject in "abc":
        project.raise_alarm(subject)
    until(lambda: project.said)
    server = receive(port=port)
    until(lambda: project.position("webhook") == 3)
    assert [body["subject"] for _, body in server.received] == ["a", "b", "c"]


def test_a_message_nobody_takes_is_given_up_and_the_next_has_its_turn(project, receive):
    server = receive(400, 400, 400)
    project.deliver(Webhook(server.address))
    project.raise_alarm("brand")
    project.raise_alarm("weight")
    until(lambda: project.position("webhook") == 2)
    assert [body["subject"] for _, body in server.received] == ["brand"] * 3 + ["weight"]
    assert any(line.startswith("given up after 3 tries") for line in project.said)


@pytest.mark.thorough
def test_patience_has_an_end(project, receive):
    server = receive(*[500] * 1000)
    hasty = Pace(look_s=0.01, first_s=0.01, longest_s=0.01, patience_s=0.1)
    project.deliver(Webhook(server.address), pace=hasty)
    project.raise_alarm("brand")
    until(lambda: project.position("webhook") == 1)
    assert any("given up" in line for line in project.said)


def test_a_dead_webhook_delays_no_command(project, program, silent, tmp_path):
    command = program("import sys; open('told', 'a').write(sys.stdin.read())")
    project.deliver(Webhook(f"http://127.0.0.1:{silent}/"), command)
    project.raise_alarm("brand")
    project.raise_alarm("weight")
    until((tmp_path / "told").exists)
    until(lambda: len((tmp_path / "told").read_text().splitlines()) == 2)


def test_stopping_does_not_wait_for_who_does_not_answer(project, program, silent):
    command = program("import time; time.sleep(600)", limit_s=600.0)
    delivery = project.deliver(Webhook(f"http://127.0.0.1:{silent}/", timeout_s=600.0), command)
    project.raise_alarm("brand")
    until(lambda: command._process is not None)
    delivery.stop()
    assert not [one for one in threading.enumerate() if one.name in {"webhook", "command"}]
    assert command._process.poll() is not None


def test_a_damaged_memory_begins_anew(project, receive):
    project.raise_alarm("old")
    server = receive()
    for content in ("", "{", '{"webhook": "x"}', '{"webhook": [[1]]}', '{"webhook": -4}'):
        project.progress.parent.mkdir(exist_ok=True, parents=True)
        project.progress.write_text(content)
        delivery = project.deliver(Webhook(server.address))
        until(lambda: project.position("webhook") == 1)
        delivery.stop()
    assert server.received == []


def test_a_log_that_was_put_back_and_has_grown_is_told_of_from_where_it_differs(project, receive):
    server = receive()
    delivery = project.deliver(Webhook(server.address))
    project.raise_alarm("brand")
    until(lambda: project.position("webhook") == 1)
    copy = {path: path.read_bytes() for path in (project.root / ".bucle").glob("log.*")}
    project.raise_alarm("weight")
    until(lambda: project.position("webhook") == 2)
    delivery.stop()
    for path in (project.root / ".bucle").glob("log.*"):
        path.unlink()
    for path, content in copy.items():
        path.write_bytes(content)
    project = Project(project.root)
    for subject in ("size", "age"):
        project.raise_alarm(subject)
    delivery = project.deliver(Webhook(server.address))
    until(lambda: project.position("webhook") == 3)
    delivery.stop()
    assert [body["subject"] for _, body in server.received] == ["brand", "weight", "size", "age"]
    assert project.said == [
        "the log is another one than before: alarms after event 1 are told, perhaps again"
    ]


@pytest.mark.parametrize("known", ["99", '[[1, "0a"], [2, "0b"]]', "2"])
def test_of_a_log_that_nobody_was_told_of_what_is_open_is_told(project, receive, known):
    server = receive()
    for subject in ("old", "brand"):
        project.raise_alarm(subject)
    project.resolve_alarm("old")
    project.progress.parent.mkdir(exist_ok=True, parents=True)
    project.progress.write_text(f'{{"webhook": {known}}}')
    project.deliver(Webhook(server.address))
    until(lambda: project.position("webhook") == 3)
    told = [(body["status"], body["subject"]) for _, body in server.received]
    # A position without a hash, as an older Bucle wrote it, is believed where it can be.
    missed = [("raised", "brand"), ("resolved", "old")]
    assert told == (missed if known != "2" else missed[1:])


def test_marks_are_few_and_nearer_together_the_newer_they_are(tmp_path):
    path = tmp_path / "delivered"
    delivered = Delivered(path)
    for position in range(3000):
        delivered._marks["webhook"] = _thinned(
            (*delivered.marks("webhook"), Mark(position, f"{position:x}"))
        )
    delivered.note("webhook", Mark(3000, "end"))
    marks = Delivered(path).marks("webhook")
    assert len(marks) < 40
    places = [one.position for one in marks]
    assert places[-16:] == list(range(2985, 3001))
    assert places == sorted(places)
    # Wherever a log was cut, there is a mark at most four times as far back.
    assert places[0] == 0
    assert all(3000 - one <= 4 * (3000 - later) + 4 for one, later in pairwise(places[:-16]))


def test_a_log_that_cannot_be_read_is_said_once_and_tried_again(project, receive):
    server = receive()
    project.raise_alarm("old")
    log = project.root / ".bucle/log.db"
    whole = log.read_bytes()
    log.write_bytes(b"no database at all" * 100)
    delivery = AlarmDelivery(
        [Webhook(server.address)],
        project="shop",
        open_log=lambda: SqliteLog(log, clock=SystemClock()),
        delivered=Delivered(project.progress),
        say=project.said.append,
        pace=QUICK,
    )
    project.running.append(delivery)
    delivery.start()
    until(lambda: project.said)
    log.write_bytes(whole)
    until(lambda: project.position("webhook") is not None)
    assert len(project.said) == 1


def test_a_charter_says_who_is_told(tmp_path, receive):
    server = receive()
    (tmp_path / "tell.sh").write_text("#!/bin/sh\ncat > told\n")
    (tmp_path / "tell.sh").chmod(0o755)
    project = Project(tmp_path, f'webhook = "{server.address}"\ncommand = ["./tell.sh"]\n')
    delivery = project.start(pace=QUICK)
    until(lambda: project.position("webhook") == 0 and project.position("command") == 0)
    project.raise_alarm("brand")
    until(lambda: project.position("webhook", "command") == 1)
    delivery.stop()
    assert server.texts == ["shop: alarm, inputs: brand: it moved"]
    assert json.loads((tmp_path / "told").read_text())["key"] == server.keys[0]


def test_who_names_nobody_is_told_nothing(tmp_path):
    project = Project(tmp_path)
    project.start().stop()
    assert not project.progress.exists()
