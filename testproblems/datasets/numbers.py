"""Arrays in NumPy's ``.npy`` format, of which the header is believed only as far as it can be."""

from __future__ import annotations

import math
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray


def read_npy(stream: IO[bytes], size: int) -> NDArray[Any]:
    """An array of numbers or texts; nothing is unpickled.

    Args:
        stream: at the start of the array.
        size: bytes in the stream: what the header says must fit into it, before memory is taken.

    Raises:
        ValueError, EOFError, OSError: it is no such array, truncated, or larger than the stream.
    """
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"version {version} of the format")
    read_header = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }[version]
    try:
        shape, in_columns, dtype = read_header(stream)
    except Exception as error:  # NumPy reads it as Python's code, which may break in many ways
        raise ValueError(f"unreadable header ({type(error).__name__})") from error
    if dtype.hasobject or dtype.kind not in "uifbU" or not dtype.itemsize:
        raise ValueError(f"an array of type {dtype}")
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize > size:
        raise ValueError(f"an array of type {dtype} and shape {shape} in {size} bytes")
    content = stream.read(math.prod(shape) * dtype.itemsize)
    if len(content) != math.prod(shape) * dtype.itemsize:
        raise EOFError(f"truncated after {len(content)} bytes of the array")
    array = np.frombuffer(content, dtype)
    return array.reshape(shape[::-1]).T if in_columns else array.reshape(shape)
