"""ImageNet (ILSVRC 2012), from a tree of folders, one per class."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch import Tensor

from alig_deepobs.errors import DataError
from alig_deepobs.foreign import open_regular
from alig_deepobs.testproblems.datasets.augment import centre_crop
from alig_deepobs.testproblems.datasets.base import Batch, DataSet
from alig_deepobs.testproblems.datasets.fetch import how_to_get, require
from alig_deepobs.testproblems.datasets.paper_split import paper_held_out
from alig_deepobs.testproblems.datasets.sources import IMAGENET
from alig_deepobs.testproblems.datasets.twins import image_twin
from alig_deepobs.testproblems.models.resize import resize_bilinear

if TYPE_CHECKING:
    from PIL import Image

CLASSES = 1000
SIDE = 256
"""Rows and columns of the decoded images; the networks see 224 of them."""
PAPER_SIDE = 224
"""The same of the ALI-G paper."""
TRAIN_SIZE = 1_281_167
PAPER_VALID_SIZE = 50_000
TRAIN_EVAL_SIZE = 50_000
TWIN_SIZES = (16, 8)
SUFFIXES = (".jpeg", ".jpg", ".png")
# One of the official files, n02105855_2933.JPEG, is a PNG. Other formats start other programs.
FORMATS = ("JPEG", "PNG")
MOST_PIXELS, MOST_LONG = 89_478_485, 200
"""Of an image: pixels, which is where Pillow begins to warn, and the longer side over the shorter.

The shorter side becomes 256, so the memory of an image that is a line is its length squared.
"""
CPU = torch.device("cpu")
_THREADS = min(16, os.cpu_count() or 1)


@dataclass(frozen=True)
class StreamedImages(DataSet):
    """Images that stay on the disk: a mini-batch is decoded when it is taken.

    ``parts`` has only the labels.

    Attributes:
        read: decodes an image, given its path and the hint; by default `read_image`.
        files: the path of each image of a part.
        device: where mini-batches are put.
        hint: how to get good files, the end of every error message.
    """

    files: Mapping[str, list[str]] = field(default_factory=dict)
    device: torch.device = CPU
    hint: str = ""
    read: Callable[[Path, str], Tensor] | None = None

    def take(self, part: str, index: Tensor) -> Batch:
        """Decodes the images with these indices."""
        return self._decoded(part, index.tolist())

    def for_split(self, split: str) -> StreamedImages:
        """The data with a validation set (``"validation"``) or without one (``"full"``)."""
        data = cast("StreamedImages", super().for_split(split))
        if "valid" not in data.parts or self.held_out is None:
            return data
        held_out = set(self.held_out.tolist())
        names = dict(enumerate(self.files["train"]))
        files = {
            **self.files,
            "train": [name for i, name in names.items() if i not in held_out],
            "valid": [name for i, name in names.items() if i in held_out],
        }
        return replace(data, files=files)

    def to(self, device: torch.device) -> StreamedImages:
        """The same data; mini-batches are put on the device."""
        return replace(self, device=device)

    def _between(self, part: str, start: int, stop: int) -> Batch:
        return self._decoded(part, list(range(start, stop)))

    def _decoded(self, part: str, numbers: list[int]) -> Batch:
        # Threads, since Pillow lets go of Python's lock while it decodes.
        with ThreadPoolExecutor(_THREADS) as pool:
            images = list(pool.map(self._read, [self.files[part][i] for i in numbers]))
        labels = self.parts[part][0][numbers]
        return torch.stack(images).to(self.device), labels.to(self.device)

    def _read(self, path: str) -> Tensor:
        return (self.read or read_image)(Path(path), self.hint)


def imagenet(
    *,
    synthetic: bool = False,
    data_dir: str | None = None,
    offline: bool = False,
    twin_sizes: tuple[int, int] = TWIN_SIZES,
    classes: int = CLASSES,
) -> DataSet:
    """ImageNet: photographs in 1,000 classes, 1,281,167 for training and 50,000 for testing.

    The folders of the classes, sorted by name (the WordNet identifier), have the labels 1 to 1000.
    Label 0, "background", has no images. There is no validation split. The version is a digest of
    the names of all files, since reading them all would take hours.

    Args:
        synthetic: make up the small synthetic twin instead.
        data_dir: folder with ``imagenet/train/<class>/*.JPEG`` and ``imagenet/val/<class>/*.JPEG``;
            None for the cache.
        offline: accepted as everywhere; nothing is ever downloaded.
        twin_sizes: training and test images of the twin.
        classes: how many classes there must be.

    Raises:
        DataError: a folder is missing or empty, or Pillow is not installed.
    """
    if synthetic:
        return image_twin(
            IMAGENET, classes=classes, side=SIDE, scale=255.0, sizes=twin_sizes, first_label=1,
            can_hold_out=False,
        )  # fmt: skip
    hint = how_to_get(IMAGENET, data_dir)
    found_folders = [folder.absolute() for folder in require(IMAGENET, data_dir, offline)]
    folders = dict(zip(("train", "test"), found_folders, strict=True))
    _require_pillow()
    names = {part: _class_names(folder) for part, folder in folders.items()}
    _check_classes(folders, names, classes, hint)
    digest = hashlib.sha256()
    files: dict[str, list[str]] = {}
    parts: dict[str, Batch] = {}
    for part, folder in folders.items():
        files[part] = []
        labels = []
        for label, name in enumerate(names[part], start=1):
            found = _images(folder / name, hint)
            files[part] += [str(path) for path in found]
            labels += [label] * len(found)
            digest.update("".join(f"{part}/{name}/{path.name}\n" for path in found).encode())
        parts[part] = (torch.tensor(labels),)
    return StreamedImages(
        name=IMAGENET.name,
        label="ImageNet (folders)",
        version=digest.hexdigest(),
        source="unverified",  # there is nothing to compare with
        parts=parts,
        train_eval_size=TRAIN_EVAL_SIZE,
        files=files,
        hint=hint,
    )


def imagenet_paper(
    *,
    synthetic: bool = False,
    data_dir: str | None = None,
    offline: bool = False,
    twin_sizes: tuple[int, int] = TWIN_SIZES,
    classes: int = CLASSES,
) -> DataSet:
    """ImageNet in 1,000 classes with the labels 0 to 999, images of 224 x 224 pixels.

    50,000 of the 1,281,167 training images can be held out, drawn as in the code of the paper. The
    files, the arguments and the errors are those of `imagenet`.
    """
    if synthetic:
        data = image_twin(
            IMAGENET, classes=classes, side=PAPER_SIDE, scale=255.0, sizes=twin_sizes
        )  # fmt: skip
    else:
        found = imagenet(data_dir=data_dir, offline=offline, classes=classes)
        # DeepOBS's label 0 is the class "background", which has no images.
        parts = {part: (labels - 1,) for part, (labels,) in found.parts.items()}
        data = replace(cast("StreamedImages", found), parts=parts, read=read_image_paper)
    valid = paper_held_out(data.size("train"), PAPER_VALID_SIZE, TRAIN_SIZE)
    return replace(data, held_out=valid)


def read_image(path: Path, hint: str) -> Tensor:
    """Decodes an image: floats from 0 to 1 of shape ``(3, 256, 256)``.

    The shorter side is resized to 256, and the middle of the longer one is taken.

    Raises:
        DataError: the file is missing, truncated or no image.
    """
    with _open_image(path, hint) as image:
        scaled = _to_tensor(image)
    rows, columns = scaled.shape[1:]
    factor = SIDE / min(rows, columns)
    resized = resize_bilinear(scaled, round(factor * rows), round(factor * columns))
    return centre_crop(resized, SIDE).contiguous()


def read_image_paper(path: Path, hint: str) -> Tensor:
    """Decodes an image: floats from 0 to 1 of shape ``(3, 224, 224)``.

    The shorter side is resized to 224 pixels by Pillow's bilinear filter, which smooths where it
    shrinks, and the middle of the longer one is taken: what torchvision's ``Resize`` and
    ``CenterCrop`` do.

    Raises:
        DataError: the file is missing, truncated or no image.
    """
    from PIL import Image

    with _open_image(path, hint) as image:
        shorter = min(image.size)
        # Rounded down, as in torchvision.
        columns, rows = (PAPER_SIDE * pixels // shorter for pixels in image.size)
        resized = image.resize((columns, rows), Image.Resampling.BILINEAR)
    left, top = round((columns - PAPER_SIDE) / 2), round((rows - PAPER_SIDE) / 2)
    return _to_tensor(resized.crop((left, top, left + PAPER_SIDE, top + PAPER_SIDE))).contiguous()


def _open_image(path: Path, hint: str) -> Image.Image:
    """The decoded image in red, green and blue.

    Raises:
        DataError: the file is missing, truncated, no image, or a larger one than any of ImageNet's.
    """
    from PIL import Image

    try:
        with open_regular(path) as stream, Image.open(stream, formats=FORMATS) as image:
            shorter, longer = sorted(image.size)
            if shorter * longer > MOST_PIXELS or longer > MOST_LONG * shorter:
                raise ValueError(f"{image.size[0]} x {image.size[1]} pixels")
            return image.convert("RGB")
    except Exception as error:  # Pillow raises whatever a broken file makes it stumble over
        raise DataError(f"{path}: unreadable image ({error}); {hint}") from error


def _to_tensor(image: Image.Image) -> Tensor:
    """The pixels as floats from 0 to 1, ``(3, rows, columns)``."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255.0


def _require_pillow() -> None:
    try:
        import PIL.Image  # noqa: F401
    except ImportError:
        raise DataError(
            "ImageNet: decoding its images needs Pillow; `pip install alig-deepobs[imagenet]`"
        ) from None


def _class_names(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir())


def _check_classes(
    folders: dict[str, Path], names: dict[str, list[str]], classes: int, hint: str
) -> None:
    union = set(names["train"]) | set(names["test"])
    for part, folder in folders.items():
        missing = sorted(union - set(names[part]))
        if missing:
            shown = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
            raise DataError(
                f"{folder}: {len(missing)} classes are missing that the other part has ({shown}); "
                f"{hint}"
            )
    if len(union) != classes:
        raise DataError(
            f"{folders['train']}: {len(union)} folders of classes; expected {classes}; {hint}"
        )


def _images(folder: Path, hint: str) -> list[Path]:
    with os.scandir(folder) as entries:
        names = sorted(e.name for e in entries if e.name.lower().endswith(SUFFIXES))
    if not names:
        raise DataError(f"{folder}: no images; expected files that end in .JPEG; {hint}")
    return [folder / name for name in names]
