"""A progress bar for training, in a terminal only, with log lines above it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import ExitStack
from typing import ClassVar

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm


class TrainingBar:
    """Counts iterations and shows the last losses.

    Args:
        total: Iterations of the whole training.
        done: Iterations done before, if it is resumed.
        logger: Its console lines go above the bar.
    """

    current: ClassVar[TrainingBar | None] = None

    def __init__(self, total: int, done: int, logger: logging.Logger) -> None:
        self._stack = ExitStack()
        # disable=None: no bar where stderr is no terminal
        self._bar = tqdm(total=total, initial=done, unit="it", dynamic_ncols=True, disable=None)
        if not self._bar.disable:
            self._stack.enter_context(logging_redirect_tqdm(loggers=[logger]))
        self._stack.callback(self._bar.close)
        TrainingBar.current = self

    def show(self, done: int, losses: Mapping[str, float]) -> None:
        """Advance to ``done`` iterations."""
        if self._bar.disable:
            return
        self._bar.set_postfix({name: f"{value:.3g}" for name, value in losses.items()}, refresh=False)
        self._bar.update(done - self._bar.n)

    @classmethod
    def close(cls) -> None:
        """End the bar on the screen, if there is one."""
        if cls.current is not None:
            cls.current._stack.close()
            cls.current = None
