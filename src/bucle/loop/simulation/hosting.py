"""The server of a simulated project: the real processes, in simulated time.

What they are told of the time is in the environment that they inherit. Imports nothing heavy.
"""

import contextlib
import os
import signal
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from bucle.errors import OutsideError
from bucle.loop.serving.supervisor import Supervisor, listen
from bucle.loop.workspace import Workspace
from bucle.serve.token import open_token

__all__ = ["Host"]

_WORKER = "worker 0"


class Host:
    """Serves a project beside what this process does; use it in a `with` block.

    Args:
        workspace: The project.
        say: Told what happens to its processes.
    """

    def __init__(self, workspace: Workspace, *, say: Callable[[str], object]) -> None:
        self._listener = listen("127.0.0.1", 0)
        self.port: int = self._listener.getsockname()[1]
        self.token = open_token(workspace.home / "serve" / "token")[0]
        self._supervisor = Supervisor(
            workspace,
            self._listener,
            token=self.token,
            overrides=workspace.overrides,
            workers=1,
            say=say,
        )
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._supervisor.stop()
        self._thread.join()
        self._supervisor.close()

    def check(self) -> None:
        """Raise what ended the server, where something has."""
        if self._failure is not None:
            raise OutsideError(
                "Cannot go on: the simulated project's server does not come up",
                cause=str(self._failure),
                code="bucle-434",
            ) from self._failure

    def kill_worker(self) -> None:
        """Kill the process that answers; another one is started in its place."""
        pid = self._supervisor.pids.get(_WORKER)
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _run(self) -> None:
        try:
            self._supervisor.start()
            self._supervisor.run()
        except BaseException as error:  # noqa: BLE001  (told by whoever waits for the server)
            self._failure = error
