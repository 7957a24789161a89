"""What all entry points share: a user's error is one line on stderr and exit status 2, never a traceback."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable

from uml_in_arch.errors import UserError

EXIT_USER_ERROR = 2


def run(main: Callable[[], int | None]) -> None:
    """Call ``main`` and end the process: with its return value, or with 2 and one line after a `UserError`."""
    try:
        sys.exit(main())
    except UserError as error:
        sys.exit(_fail(error))
    except KeyboardInterrupt:
        sys.exit(130)


def one_line(error: BaseException) -> str:
    """The message of ``error`` without the worker's traceback that DataLoader puts in front of it."""
    last = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
    return re.sub(r"^[\w.]+Error: ", "", last)


def _fail(error: UserError) -> int:
    print(f"error: {one_line(error)}", file=sys.stderr, flush=True)
    return EXIT_USER_ERROR
