"""Temporary directories that go with what lives in them."""

from __future__ import annotations

import shutil
import tempfile
import weakref


class Scratch:
    """A directory that is removed when nothing refers to this object any more."""

    def __init__(self) -> None:
        self.path = tempfile.mkdtemp(prefix="dlrm-")
        self._remove = weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)
