"""Content under its digest in memory, for simulation and for tests.

Imports nothing heavy.
"""

from bucle.errors import DigestMismatchError, UnknownNameError
from bucle.ids import digest_bytes

__all__ = ["MemoryBlobs"]


class MemoryBlobs:
    """A content store that ends with its process; safe for threads."""

    def __init__(self) -> None:
        self._contents: dict[str, bytes] = {}

    def put(self, content: bytes) -> str:
        """Keep some bytes and return their digest."""
        digest = digest_bytes(content)
        self._contents[digest] = bytes(content)
        return digest

    def get(self, digest: str) -> bytes:
        """Return the bytes kept under a digest, verified.

        Raises:
            UnknownNameError: Nothing is kept under it.
            DigestMismatchError: What is there is not what the digest says.
        """
        content = self._contents.get(digest)
        if content is None:
            raise UnknownNameError(
                f"Cannot find content {digest[:80]!r}",
                cause="nothing is kept under this digest",
                code="bucle-211",
            )
        if digest_bytes(content) != digest:
            raise DigestMismatchError(
                f"Cannot use content {digest!r}", cause="its bytes have another digest"
            )
        return content

    def has(self, digest: str) -> bool:
        """Tell whether something is kept under this digest."""
        return digest in self._contents
