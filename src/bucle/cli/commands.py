"""The list of commands: name, summary and where each one lives, without importing any of them."""

from typing import NamedTuple

__all__ = ["COMMANDS", "Command"]


class Command(NamedTuple):
    """One command: `module` has the class or object `handler`, loaded when the command is used."""

    name: str
    summary: str
    module: str
    handler: str


COMMANDS = (
    Command("new", "make a project from a template or from a table", "bucle.cli.new", "NEW"),
    Command("config", "show each setting and where it came from", "bucle.cli.config", "CONFIG"),
    Command("data add", "add rows to a dataset", "bucle.cli.data", "ADD"),
    Command("data list", "list datasets and their versions", "bucle.cli.data", "LIST"),
    Command("data show", "show a dataset: columns, rows, origin", "bucle.cli.data", "SHOW"),
    Command("data diff", "compare two versions of a dataset", "bucle.cli.data", "DIFF"),
    Command("data quarantine", "list or export rows held back", "bucle.cli.data", "QUARANTINE"),
    Command("data check", "look for columns that give the label away", "bucle.cli.data", "CHECK"),
    Command("run", "run the pipeline up to a verdict", "bucle.cli.run", "RUN"),
    Command(
        "replay", "try retrain policies on the project's history", "bucle.cli.replay", "REPLAY"
    ),
    Command("serve", "answer predictions over HTTP", "bucle.cli.serve", "SERVE"),
    Command("up", "keep the loop going: serve, watch, retrain", "bucle.cli.up", "UP"),
    Command(
        "simulate",
        "play the project forward in a world that answers",
        "bucle.cli.simulate",
        "SIMULATE",
    ),
    Command("retrain", "ask the loop for a new model", "bucle.cli.orders", "RETRAIN"),
    Command("approve", "let a model answer, in a role", "bucle.cli.orders", "APPROVE"),
    Command("pause", "tell the loop to start nothing new", "bucle.cli.orders", "PAUSE"),
    Command("resume", "tell the loop to go on", "bucle.cli.orders", "RESUME"),
    Command("why-not", "why the loop does nothing now", "bucle.cli.orders", "WHY_NOT"),
    Command("predict", "predict rows at hand, without a server", "bucle.cli.predict", "PREDICT"),
    Command("load", "how many predictions a second a server gives", "bucle.cli.load", "LOAD"),
    Command("status", "who answers, how much, how fast, how well", "bucle.cli.status", "STATUS"),
    Command("watch", "what has changed: inputs, losses, alarms", "bucle.cli.watch", "WATCH"),
    Command("deploy", "put a model version beside the champion", "bucle.cli.deploy", "DEPLOY"),
    Command("runs", "list runs", "bucle.cli.runs", "RUNS"),
    Command("show", "show a run or a model version", "bucle.cli.runs", "SHOW"),
    Command("models", "list model versions", "bucle.cli.models", "MODELS"),
    Command("models export", "write a model as one ONNX file", "bucle.cli.models", "EXPORT"),
    Command("promote", "make a model version the champion", "bucle.cli.models", "PROMOTE"),
    Command("rollback", "go back to an earlier champion", "bucle.cli.models", "ROLLBACK"),
    Command("history", "who was champion, when, why, by whom", "bucle.cli.models", "HISTORY"),
    Command("backup", "copy the project while it is in use", "bucle.cli.backup", "BACKUP"),
    Command("restore", "put a project back from its backup", "bucle.cli.restore", "RESTORE"),
    Command("log", "read the event log", "bucle.cli.log", "SHOW"),
    Command("log verify", "check the whole log against its chain", "bucle.cli.log", "VERIFY"),
)
