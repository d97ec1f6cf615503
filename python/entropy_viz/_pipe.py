"""The process `entropy-viz record` of one run, and the pipe to it.

The recorder owns the file: it replaces it atomically, at most once per second and at its end. A write to the pipe takes
microseconds and never waits: what a full pipe does not take is kept, and a thread hands it over. When this process ends
in any way, the kernel closes the pipe, and the recorder writes what it has. So a crash loses nothing that was logged;
if the recorder is killed too, at most the last second.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import threading
import time
from collections import deque

# Enough for what the pipe and the recorder may hold unwritten; a restarted recorder gets these again.
RECENT_LINES = 16384
# Rows that may wait for a recorder that does not read, about 100 MB; then it is given up, so that memory is bounded.
MAX_BACKLOG = 1_000_000
# How often a recorder is started again after a signal ended it.
RESTARTS = 3
# Seconds that `close` waits for the recorder; a network file system may be slow.
CLOSE_TIMEOUT = 30.0
# Linux only: the size of the pipe, about 30,000 rows.
F_SETPIPE_SZ = 1031
PIPE_SIZE = 1 << 20


class RecorderLost(Exception):
    """The recorder cannot be started, or has ended."""


class RecorderPipe:
    """Lines to a recorder, which is started at the first one. Not safe for threads: the caller holds a lock."""

    def __init__(self, command: list[str], lock: threading.RLock) -> None:
        self._command = command
        self._lock = lock
        self._process: subprocess.Popen[bytes] | None = None
        self._fd = -1
        self._recent: deque[bytes] = deque(maxlen=RECENT_LINES)
        self._backlog: deque[bytes] = deque()
        self._thread: threading.Thread | None = None
        self._restarts = RESTARTS

    def send(self, line: bytes) -> None:
        """Sends a line, now or, if the pipe is full, from a thread.

        Raises `RecorderLost` if the recorder cannot be started, has ended, or does not read for too long.
        """
        if len(self._backlog) >= MAX_BACKLOG:
            raise RecorderLost(f"the recorder does not read; {MAX_BACKLOG} rows wait for it")
        self._recent.append(line)
        if self._process is None:
            self._start()
        self._backlog.append(line)
        try:
            self._write_backlog()
        except OSError:
            self._restart()
            return
        if self._backlog:
            self._hand_over_later()

    def close(self) -> None:
        """Ends the recording and waits until the file is written. Raises `RecorderLost` if it may be incomplete."""
        while self._process is not None:
            is_complete = self._drain(time.monotonic() + CLOSE_TIMEOUT)
            self._close_fd()
            try:
                code = self._process.wait(CLOSE_TIMEOUT)
            except subprocess.TimeoutExpired:
                self._process = None
                raise RecorderLost(f"the recorder is still writing after {CLOSE_TIMEOUT:.0f} s; it goes on by itself") from None
            if code == 0 and is_complete:
                self._process = None
                return
            self._restart()

    def forget(self) -> None:
        """In a forked process: leaves the recorder to the parent."""
        if self._fd >= 0:
            self._close_fd()
        if self._process is not None:
            self._process.returncode = 0  # it is no child of this process
        self._process = None
        self._recent.clear()
        self._backlog.clear()
        self._thread = None

    def _close_fd(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _start(self) -> None:
        # A session of its own, so that Ctrl-C at the training does not end the recorder. The path that it prints at its
        # end is not part of the trainer's output.
        read_end, write_end = os.pipe()
        try:
            self._process = subprocess.Popen(self._command, stdin=read_end, stdout=subprocess.DEVNULL, start_new_session=True)
        except OSError as error:
            os.close(write_end)
            raise RecorderLost(f"cannot start {self._command[0]}: {error.strerror or error}") from error
        finally:
            os.close(read_end)
        os.set_blocking(write_end, False)
        try:
            import fcntl

            fcntl.fcntl(write_end, F_SETPIPE_SZ, PIPE_SIZE)
        except (ImportError, OSError):
            pass  # the usual size does too
        self._fd = write_end

    def _restart(self) -> None:
        """Starts the recorder again if a signal ended it, and sends it the last lines again: the same steps replace each other."""
        assert self._process is not None
        self._close_fd()
        try:
            code = self._process.wait(CLOSE_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process = None
            raise RecorderLost("the recorder does not read any more") from None
        self._process = None
        self._backlog.clear()
        was_signalled = code < 0 or code == 130
        if not was_signalled or self._restarts == 0:
            why = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
            raise RecorderLost(f"the recorder {why}; its message is above")
        self._restarts -= 1
        self._start()
        self._backlog.extend(self._recent)
        self._hand_over_later()

    def _hand_over_later(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._hand_over, name="entropy-viz", daemon=True)
            try:
                self._thread.start()
            except RuntimeError:
                self._thread = None  # the interpreter is ending; `close` hands the backlog over

    def _hand_over(self) -> None:
        """Writes the backlog as fast as the recorder reads."""
        while True:
            with self._lock:
                fd = self._fd
                try:
                    self._write_backlog()
                except OSError:
                    return  # the next call finds that the recorder has ended
                if not self._backlog or fd < 0:
                    return
            with contextlib.suppress(OSError, ValueError):  # if the pipe was closed or replaced in the meantime
                select.select([], [fd], [], 0.1)

    def _drain(self, until: float) -> bool:
        """Writes the backlog until a time of `time.monotonic`. Returns whether all of it was written."""
        try:
            self._write_backlog()
            while self._backlog and time.monotonic() < until:
                select.select([], [self._fd], [], 0.1)
                self._write_backlog()
        except (OSError, ValueError):
            pass  # the recorder has ended
        return not self._backlog

    def _write_backlog(self) -> None:
        """Writes as much as the pipe takes. Raises `OSError` if the recorder has ended."""
        while self._backlog and self._fd >= 0:
            line = self._backlog[0]
            try:
                written = os.write(self._fd, line)
            except BlockingIOError:
                return
            if written < len(line):
                self._backlog[0] = line[written:]
                return
            self._backlog.popleft()
