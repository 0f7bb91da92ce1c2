"""What can go wrong. Every error says what was expected, what was found and, where it can, what to do."""

from __future__ import annotations


class Error(Exception):
    """Base of all errors of dlrm.

    Attributes
    ----------
    message : str
        What was expected and found, and where.
    hint : str or None
        What to do about it.
    """

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}\nhint: {self.hint}"


class ArgumentError(Error, ValueError):
    """An argument or a setting that cannot be used."""


class DataError(Error, ValueError):
    """Rows that are not what they should be."""


class FileError(Error, OSError):
    """The operating system refused an operation on a file."""


class MissingFileError(FileError, FileNotFoundError):
    """A file that is not there."""


class ModelError(Error, ValueError):
    """A saved model or checkpoint that cannot be trusted."""


class MissingModelError(ModelError, FileNotFoundError):
    """A model directory that is not there."""


class OutOfMemoryError(Error, MemoryError):
    """A run that needs more memory than it may take."""


class ThreadsError(Error, RuntimeError):
    """Worker threads that could not be started."""


class DivergedError(Error, ArithmeticError):
    """Training whose loss grew without bound."""
