"""Worker processes behind the standard interface of executors."""

import os
import signal
import time
from concurrent.futures import CancelledError

import pytest

from bucle.pipeline import worker
from bucle.pipeline.executors import ProcessExecutor, SerialExecutor, WorkerLostError
from bucle.pipeline.worker_process import main


def test_serial_executor_answers_at_once():
    with SerialExecutor() as executor:
        assert executor.submit(bytes.upper, b"a").result() == b"A"
        assert isinstance(executor.submit(bytes.decode, b"\xff").exception(), UnicodeDecodeError)


def test_processes_take_functions_of_bytes_only(tmp_path):
    with ProcessExecutor(folder=tmp_path) as executor:
        with pytest.raises(TypeError):
            executor.submit(len, "text")
        with pytest.raises(TypeError):
            executor.submit(len)


def test_nothing_can_be_submitted_after_shutdown(tmp_path):
    executor = ProcessExecutor(folder=tmp_path)
    executor.shutdown()
    with pytest.raises(RuntimeError):
        executor.submit(worker.prepare, b"")


def test_fault_in_the_function_itself_is_an_error_with_its_traceback(tmp_path):
    with ProcessExecutor(folder=tmp_path) as executor:
        error = executor.submit(worker.perform, b"{").exception(timeout=30)
    assert isinstance(error, RuntimeError)
    assert "DecodeError" in str(error)


def test_worker_that_is_killed_is_replaced(tmp_path):
    with ProcessExecutor(1, folder=tmp_path) as executor:
        # The main loop called inside a call never answers.
        stuck = executor.submit(main, b"")
        end = time.monotonic() + 20
        while not executor._processes and time.monotonic() < end:
            time.sleep(0.01)
        (process,) = executor._processes
        os.kill(process.pid, signal.SIGKILL)
        error = stuck.exception(timeout=30)
        assert isinstance(error, (WorkerLostError, RuntimeError))
        content = b'{"root": "/nowhere", "calls": []}'
        assert executor.submit(worker.prepare, content).result(timeout=30) == b""


def test_shutdown_at_once_cancels_what_waits(tmp_path):
    executor = ProcessExecutor(1, folder=tmp_path)
    content = b'{"root": "/nowhere", "calls": []}'
    futures = [executor.submit(worker.prepare, content) for _ in range(200)]
    executor.shutdown(wait=False, cancel_futures=True)
    ended = []
    for future in futures:
        try:
            ended.append(future.exception(timeout=30))
        except CancelledError:
            ended.append("cancelled")
    assert "cancelled" in ended
    assert all(item in {None, "cancelled"} or isinstance(item, Exception) for item in ended)


def test_one_quick_call_after_the_other_needs_one_process(tmp_path):
    content = b'{"root": "/nowhere", "calls": []}'
    with ProcessExecutor(4, folder=tmp_path, patience_s=5.0) as executor:
        for _ in range(20):
            executor.submit(worker.prepare, content).result(timeout=30)
        assert len(executor._processes) == 1
