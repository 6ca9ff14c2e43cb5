"""What the supervisor tells a worker. Imports nothing heavy, so that the supervisor stays small."""

from msgspec import Struct

from bucle.charter.reading import Loaded

__all__ = ["WorkerSettings"]


class WorkerSettings(Struct, frozen=True, kw_only=True):
    """Numbers of open files, and how a worker should serve; `server` is its supervisor's process.

    `loaded` is the charter that the supervisor has read: a worker that is started again serves by
    it, also while somebody writes the file. `listener` is the shared socket, `lifeline` a pipe that
    ends with the supervisor, `ready` one that the worker writes to once it answers.
    """

    root: str
    loaded: Loaded
    server: int
    number: int
    listener: int
    lifeline: int
    ready: int
    token: str
    hosts: tuple[str, ...]
    body_bytes: int
