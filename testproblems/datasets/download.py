"""Downloads that end: not more than a file may have, and not slower than any server is."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

LARGEST = 1 << 30
"""Bytes of a file whose size is not known."""
SLOWEST = 1000
"""Bytes per second that a server must send, over each time of patience."""
_CHUNK = 1 << 14


class Downloader:
    """What pooch downloads with.

    Args:
        most: bytes that the file may have; 0: `LARGEST`.
        patience: seconds after which a server that sends next to nothing is given up.
    """

    def __init__(self, most: int = 0, patience: float = 60.0) -> None:
        self.most = most or LARGEST
        self.patience = patience
        self.received = 0
        self.given_up = False
        self.error: Exception | None = None

    def __call__(self, url: str, output_file: str, pooch: Any, check_only: bool = False) -> None:
        """Writes what is at an address into a file.

        Raises:
            OSError: it cannot be downloaded, is too large, or the server is too slow.
        """
        # In a thread, since no timeout ends a server that sends single bytes, even of its headers.
        thread = threading.Thread(target=self._receive, args=(url, output_file), daemon=True)
        thread.start()
        try:
            before = 0
            thread.join(self.patience)
            while thread.is_alive():
                if self.received - before < SLOWEST * self.patience:
                    raise OSError(f"less than {SLOWEST} bytes per second")
                before = self.received
                thread.join(self.patience)
        finally:
            self.given_up = True
        if self.error is not None:
            raise self.error

    def _receive(self, url: str, output_file: str) -> None:
        import requests

        try:
            # Without compression, of which a few bytes may mean any number.
            with (
                requests.get(
                    url, stream=True, timeout=self.patience, headers={"Accept-Encoding": "identity"}
                ) as response,
                Path(output_file).open("wb") as file,
            ):
                response.raise_for_status()
                announced = response.headers.get("content-length", "")
                if announced.isdecimal() and int(announced[:20]) > self.most:
                    raise OSError(f"{announced[:20]} bytes; expected at most {self.most}")
                while not self.given_up and (chunk := response.raw.read(_CHUNK)):
                    self.received += len(chunk)
                    if self.received > self.most:
                        raise OSError(f"more than {self.most} bytes; expected at most that")
                    file.write(chunk)
        except Exception as error:  # noqa: BLE001 - whatever it is, the other thread raises it
            self.error = error if isinstance(error, OSError) else OSError(str(error))
