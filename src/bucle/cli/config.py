"""`bucle config`: each setting, its value and where it came from."""

import json
import os
from argparse import ArgumentParser, Namespace
from typing import Any

import msgspec

from bucle.charter.reading import load_charter
from bucle.cli.handler import Handler, project_arguments, project_folder
from bucle.cli.terminal import Terminal
from bucle.errors import UnknownNameError, nearest
from bucle.loop.workspace import find_root

__all__ = ["CONFIG"]


def _arguments(parser: ArgumentParser) -> None:
    project_arguments(parser)
    parser.add_argument("key", nargs="?", help="only this key or section, such as gates")


def _call(options: Namespace, terminal: Terminal) -> int:
    root = find_root(project_folder(options))
    loaded = load_charter(root, environ=os.environ, overrides=options.set)
    wanted = options.key
    chosen = [
        setting
        for setting in loaded.settings
        if not wanted or setting.key == wanted or setting.key.startswith(f"{wanted}.")
    ]
    if not chosen:
        known = [setting.key for setting in loaded.settings]
        sections = sorted({key.rpartition(".")[0] for key in known})
        raise UnknownNameError(
            f"There is no setting {wanted!r}",
            did_you_mean=nearest(wanted, [*known, *sections]),
            attempt="bucle config",
        )
    terminal.answer([msgspec.to_builtins(setting) for setting in chosen])
    if not terminal.json:
        terminal.table(
            [[setting.key, setting.source, _shown(setting.value)] for setting in chosen],
            header=["key", "from", "value"],
        )
    return 0


def _shown(value: Any) -> str:
    return json.dumps(msgspec.to_builtins(value), ensure_ascii=False)


CONFIG = Handler(_arguments, _call, "bucle config gates --set gates.holdout=0.3")
