"""What the run says while it works: one line that changes on a terminal, lines elsewhere."""

import os
import sys
import time


class Progress:
    """Where the run is, with the time that has passed and the time that is probably left."""

    def __init__(self, rows, out=sys.stdout):
        self._rows = rows
        self._row = 0
        self._name = ""
        self._out = out
        self._started = time.monotonic()
        self._on_terminal = out.isatty()

    def row(self, name):
        """A row begins."""
        self._row += 1
        self._name = name
        self.step("begins")

    def step(self, what):
        """What is being done in it now."""
        line = f"[{self._row}/{self._rows}] {self._name}: {what}  ({self._times()})"
        if not self._on_terminal:
            print(line, file=self._out, flush=True)
            return
        width = os.get_terminal_size(self._out.fileno()).columns
        print(f"\r\033[K{line[:width - 1]}", end="", file=self._out, flush=True)

    def say(self, text):
        """Lines that stay."""
        print(("\r\033[K" if self._on_terminal else "") + text, file=self._out, flush=True)

    def _times(self):
        passed = time.monotonic() - self._started
        done = self._row - 1
        left = f", about {clock(passed / done * (self._rows - done))} left" if done else ""
        return clock(passed) + left


def clock(seconds):
    """Minutes and seconds."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
