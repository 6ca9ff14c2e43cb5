"""What the supervisor tells a worker. Imports nothing heavy, so that the supervisor stays small."""

from msgspec import Struct

__all__ = ["WorkerSettings"]


class WorkerSettings(Struct, frozen=True, kw_only=True):
    """Numbers of open files, and how a worker should serve; `server` is its supervisor's process.

    `listener` is the shared socket, `lifeline` a pipe that ends with the supervisor, `ready` one
    that the worker writes to once it answers.
    """

    root: str
    overrides: tuple[str, ...]
    server: int
    number: int
    listener: int
    lifeline: int
    ready: int
    token: str
    hosts: tuple[str, ...]
    body_bytes: int
