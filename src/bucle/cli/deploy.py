"""`bucle deploy`: a challenger beside the champion, as a shadow or as a canary."""

import re
from argparse import ArgumentParser, Namespace

from bucle.cli.handler import Handler, project_arguments, project_folder
from bucle.cli.terminal import Terminal
from bucle.errors import UsageError
from bucle.loop.deployment import DeploymentChange, deploy_model, withdraw
from bucle.loop.workspace import open_workspace

__all__ = ["DEPLOY", "read_share"]

_SHARE = re.compile(r"(\d{1,3}(?:\.\d{1,4})?)\s?%")


def _arguments(parser: ArgumentParser) -> None:
    project_arguments(parser)
    parser.add_argument("model", nargs="?", help="a model version, or the start of its id")
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument(
        "--shadow", action="store_true", help="let it score every row and answer nobody"
    )
    how.add_argument("--canary", metavar="SHARE", help="let it answer that part, such as 5%%")
    how.add_argument("--stop", action="store_true", help="take it away again")
    parser.add_argument(
        "--because", default="", help="why; needed when the referee has not passed a canary"
    )


def _call(options: Namespace, terminal: Terminal) -> int:
    share = 0.0 if options.canary is None else read_share(options.canary)
    if (options.model is None) != options.stop:
        raise UsageError(
            "Cannot deploy: name a model"
            if options.model is None
            else "Cannot stop one model of several: there is only one beside the champion",
            attempt="bucle deploy m-3f2a --shadow, and bucle deploy --stop",
        )
    workspace = open_workspace(project_folder(options), overrides=options.set)
    if options.stop:
        model = withdraw(workspace, because=options.because)
        terminal.answer({"model": model, "stage": None, "share": 0.0, "changed": True})
        if not terminal.json:
            terminal.say(f"{model} was taken away; the champion answers alone")
        return 0
    change = deploy_model(workspace, options.model, share=share, because=options.because)
    terminal.answer(
        {
            "model": change.model,
            "champion": change.champion,
            "stage": "canary" if share else "shadow",
            "share": share,
            "replaced": change.replaced,
            "changed": change.changed,
        }
    )
    if not terminal.json:
        _tell(change, terminal)
    return 0


def _tell(change: DeploymentChange, terminal: Terminal) -> None:
    work = "scores every row and answers nobody"
    if change.share:
        work = f"answers {_percent(change.share)} of the keys"
    terminal.say(
        f"{change.model} {work}, beside {change.champion}"
        + ("" if change.changed else ", as before")
    )
    if change.replaced:
        terminal.say(f"{change.replaced} was taken away")
    terminal.say("See how it does: bucle status")


def read_share(text: str) -> float:
    """Return a share between 0 and 1 as it was typed, such as `5%`.

    Raises:
        UsageError: It is no percentage between 0 and 100, both excluded.
    """
    found = _SHARE.fullmatch(text.strip())
    share = float(found[1]) / 100 if found else -1.0
    if not 0 < share < 1:
        raise UsageError(
            f"Cannot give a canary {text[:40]!r} of the keys",
            cause="a share is a percentage above 0 and below 100",
            attempt="--canary 5%, --shadow for none, bucle promote MODEL for all",
        )
    return share


def _percent(share: float) -> str:
    return f"{share * 100:.4f}".rstrip("0").rstrip(".") + " %"


DEPLOY = Handler(_arguments, _call, "bucle deploy m-3f2a --canary 5%")
