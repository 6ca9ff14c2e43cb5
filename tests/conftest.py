"""What every test may ask for: real data, a PostgreSQL server, a clean environment."""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

REPOSITORY = Path(__file__).resolve().parent.parent

# The machine decides how long an example takes, so there is no deadline; a failing example is
# printed as a blob that reproduces it.
settings.register_profile(
    "default",
    deadline=None,
    max_examples=60,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("ci", parent=settings.get_profile("default"), derandomize=True)
settings.register_profile("nightly", parent=settings.get_profile("default"), max_examples=2000)
settings.load_profile(
    os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "default")
)

for _name in [name for name in os.environ if name.startswith("BUCLE_")]:
    del os.environ[_name]


@pytest.fixture(scope="session")
def repository() -> Path:
    """Return the folder of this repository."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real data beside the repository, or skip."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real data is absent: no folder ../shared/data beside the repository")
    return folder


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a PostgreSQL server of this session's own and return its URL, or skip."""
    programs = _postgres_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    # A socket's path may hold 107 bytes at most, pytest's own folders are longer.
    folder = Path("/tmp") / f"bucle-pg-{os.getpid()}"
    folder.mkdir(mode=0o700)
    identity = _postgres_identity(folder)
    try:
        _create_cluster(programs, folder, identity)
        server, port = _start_postgres(programs, folder, identity)
        try:
            _await_postgres(server, folder)
            yield f"postgresql://bucle@127.0.0.1:{port}/postgres"
        finally:
            server.send_signal(signal.SIGINT)
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _postgres_programs() -> Path | None:
    versions = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name)
    )
    on_path = shutil.which("initdb")
    folders = [*([Path(on_path).parent] if on_path else []), *reversed(versions)]
    return next((folder for folder in folders if (folder / "initdb").is_file()), None)


def _postgres_identity(folder: Path) -> dict[str, int]:
    """Return who runs the server: it refuses to be root."""
    if os.geteuid() != 0:
        return {}
    try:
        account = pwd.getpwnam("postgres")
    except KeyError:
        account = pwd.getpwnam("nobody")
    os.chown(folder, account.pw_uid, account.pw_gid)
    return {"user": account.pw_uid, "group": account.pw_gid}


def _create_cluster(programs: Path, folder: Path, identity: dict[str, int]) -> None:
    words = ["-U", "bucle", "-A", "trust", "-E", "UTF8", "--no-sync"]
    made = subprocess.run(
        [programs / "initdb", "-D", folder / "data", *words],
        check=False,
        capture_output=True,
        cwd=folder,
        env=_surroundings(folder),
        extra_groups=[] if identity else None,
        **identity,
    )
    if made.returncode:
        pytest.skip(f"PostgreSQL cannot be set up: {made.stderr.decode(errors='replace')[-300:]}")


def _start_postgres(
    programs: Path, folder: Path, identity: dict[str, int]
) -> tuple[subprocess.Popen[bytes], int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    words = ["-c", f"port={port}", "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]
    server = subprocess.Popen(
        [programs / "postgres", "-D", folder / "data", "-k", folder, *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=folder,
        env=_surroundings(folder),
        extra_groups=[] if identity else None,
        **identity,
    )
    return server, port


def _await_postgres(server: subprocess.Popen[bytes], folder: Path) -> None:
    """Wait until the server's own pid file says that it is ready."""
    state = folder / "data" / "postmaster.pid"
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(FileNotFoundError):
            if "ready" in state.read_text().split():
                return
        time.sleep(0.05)
    pytest.skip("PostgreSQL did not start within 30 seconds")


def _surroundings(folder: Path) -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "HOME": str(folder)}
