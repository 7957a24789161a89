"""Errors that are the user's to mend. Entry points print them as one line (see ``uml_in_arch.cli``)."""

from __future__ import annotations


class UserError(Exception):
    """Something outside the program is wrong. The message is one line: what is wrong and what to do about it."""


class OptionError(UserError, ValueError):
    """An option file, a constructor argument or a command line that cannot work."""


class DataError(UserError):
    """A data set, an LMDB or a picture that is missing, unreadable or does not fit."""


class CheckpointError(UserError):
    """A checkpoint or training state that is missing, broken or belongs to another network."""


class TrainingDivergedError(UserError):
    """Training produced non-finite numbers too many times in a row."""
