"""Every content store keeps the same promises."""

from pathlib import Path

import pytest

from bucle.store.file_blobs import FileBlobs
from bucle.store.memory_blobs import MemoryBlobs
from bucle.testing.contracts import BlobsContract


class TestMemoryBlobs(BlobsContract):
    @pytest.fixture
    def blobs(self) -> MemoryBlobs:
        return MemoryBlobs()


class TestFileBlobs(BlobsContract):
    @pytest.fixture
    def blobs(self, tmp_path: Path) -> FileBlobs:
        return FileBlobs(tmp_path / "blobs")
