"""SVHN with its extra images, and ImageNet as in the paper: good files and bad ones."""

import numpy as np
import pytest
import torch
from scipy.io import savemat

from alig_deepobs.errors import DataError
from alig_deepobs.testproblems import imagenet_resnet18_alig
from alig_deepobs.testproblems.datasets import fetch
from alig_deepobs.testproblems.datasets.imagenet import imagenet_paper
from alig_deepobs.testproblems.datasets.imagenet import read_image_paper as read_image
from alig_deepobs.testproblems.datasets.paper_split import paper_split
from alig_deepobs.testproblems.datasets.sources import SVHN, SVHN_EXTRA
from alig_deepobs.testproblems.datasets.svhn import svhn, svhn_extra
from alig_deepobs.testproblems.datasets.verify import FileState

COUNTS = {"train_32x32.mat": 40, "test_32x32.mat": 12, "extra_32x32.mat": 30}


@pytest.fixture
def svhn_folder(tmp_path):
    rng = np.random.default_rng(0)
    folder = tmp_path / "data" / "svhn"
    folder.mkdir(parents=True)
    for name, count in COUNTS.items():
        images = rng.integers(0, 256, (32, 32, 3, count), np.uint8)
        labels = rng.integers(1, 11, (count, 1), np.uint8)
        savemat(folder / name, {"X": images, "y": labels}, do_compression=True)
    return folder


def test_svhn_with_extra_images(svhn_folder):
    from scipy.io import loadmat

    raw = {name: loadmat(svhn_folder / name) for name in COUNTS}
    data = svhn_extra(data_dir=str(svhn_folder.parent))
    assert data.label == "SVHN with extra images (unverified files)"
    assert data.source == "unverified"
    assert data.name == "svhn_extra"
    labels = [raw[f"{part}_32x32.mat"]["y"][:, 0] % 10 for part in ("train", "extra")]
    assert data.parts["train"][1].tolist() == np.concatenate(labels).tolist()
    assert np.array_equal(
        data.parts["train"][0][45], raw["extra_32x32.mat"]["X"][..., 5].transpose(2, 0, 1)
    )
    assert data.take("train", torch.tensor([0]))[0].max() <= 1
    split = data.for_split("validation")
    held_out = sorted(paper_split(40, 10)[1].tolist())  # of the 40, a quarter; no extra image
    assert split.size("train") == 60
    assert torch.equal(split.parts["valid"][1], data.parts["train"][1][held_out])
    assert torch.equal(split.parts["train"][1][-30:], data.parts["train"][1][-30:])


def test_the_files_of_svhn_are_shared(svhn_folder):
    assert svhn(data_dir=str(svhn_folder.parent)).size("train") == 40
    renamed = svhn_folder.rename(svhn_folder.parent / "svhn_extra")
    assert svhn(data_dir=str(renamed.parent)).size("train") == 40
    assert svhn_extra(data_dir=str(renamed.parent)).size("train") == 70
    assert svhn_extra(data_dir=str(renamed)).size("train") == 70
    assert [file.sha256 for file in SVHN_EXTRA.files[:2]] == [file.sha256 for file in SVHN.files]
    assert sum(file.size for file in SVHN_EXTRA.files) == SVHN.size + 1_329_278_602


def overwrite(**variables):
    return lambda path: savemat(path, variables)


@pytest.mark.parametrize("name", ["train_32x32.mat", "extra_32x32.mat"])
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: path.unlink(), "missing in"),
        (lambda path: path.write_bytes(path.read_bytes()[:-2000]), "truncated or corrupt"),
        (lambda path: path.write_bytes(b""), "expected a MATLAB 5 file"),
        (overwrite(X=np.zeros((28, 28, 3, 2), np.uint8), y=[1, 2]), "(28, 28, 3, 2); expected"),
        (overwrite(X=np.zeros((32, 32, 3, 2), np.uint8), y=[1]), "1 labels of type"),
        (overwrite(X=np.zeros((32, 32, 3, 2), np.uint8), y=[1, 12]), "label 12 at record 1"),
    ],
)
def test_bad_svhn_files(svhn_folder, name, spoil, message):
    spoil(svhn_folder / name)
    with pytest.raises(DataError) as caught:
        svhn_extra(data_dir=str(svhn_folder.parent))
    assert message in str(caught.value)
    assert name in str(caught.value)
    assert "`alig-deepobs data fetch svhn_extra" in str(caught.value)


def test_states_of_the_extra_file(svhn_folder):
    file = SVHN_EXTRA.files[2]
    path = svhn_folder / file.name
    found = fetch.check_file(SVHN_EXTRA, file, str(svhn_folder.parent))
    assert found == (path, FileState.UNVERIFIED)
    path.write_bytes(b"junk")
    assert fetch.check_file(SVHN_EXTRA, file, str(svhn_folder))[1] is FileState.CORRUPT


Image = pytest.importorskip("PIL.Image")


@pytest.fixture
def tree(tmp_path):
    """Three classes with eight images each for training, two for testing."""
    rng = np.random.default_rng(0)
    for part, count in (("train", 8), ("val", 2)):
        for wnid in ("n02", "n01", "n03"):
            folder = tmp_path / "imagenet" / part / wnid
            folder.mkdir(parents=True)
            for i in range(count):
                pixels = rng.integers(0, 256, (240 + 10 * i, 250, 3), np.uint8)
                Image.fromarray(pixels).save(folder / f"{wnid}_{i}.JPEG", "JPEG")
    return tmp_path


def test_imagenet_as_in_the_paper(tree):
    data = imagenet_paper(data_dir=str(tree), classes=3)
    assert data.parts["train"][0].tolist() == [0] * 8 + [1] * 8 + [2] * 8
    images, labels = data.take("train", torch.tensor([20, 0]))
    assert images.shape == (2, 3, 224, 224)
    assert labels.tolist() == [2, 0]
    assert 0 <= images.min() < images.max() <= 1
    split = data.for_split("validation")
    held_out = sorted(paper_split(24, 6)[1].tolist())
    kept = [i for i in range(24) if i not in held_out]
    assert split.files["valid"] == [data.files["train"][i] for i in held_out]
    assert split.files["train"] == [data.files["train"][i] for i in kept]
    assert split.parts["valid"][0].tolist() == [i // 8 for i in held_out]
    assert split.parts["train"][0].tolist() == [i // 8 for i in kept]
    # Labels stay with their images: the file's folder says so.
    for path, label in zip(split.files["train"], split.parts["train"][0], strict=True):
        assert f"n0{label + 1}" in path
    assert data.for_split("full").size("train") == 24
    assert [len(y) for _, y in split.slices("valid", 4, False)] == [4, 2]
    assert [len(y) for _, y in split.slices("valid", 4)] == [4]


@pytest.mark.parametrize("size", [(300, 224), (224, 301), (640, 480), (50, 40), (224, 224)])
def test_resizing_keeps_the_middle(tmp_path, size):
    columns, rows = size
    ramp = np.linspace(0, 255, columns * rows).reshape(rows, columns)
    image = Image.fromarray(np.stack([ramp] * 3, 2).astype(np.uint8))
    image.save(tmp_path / "x.png")
    found = read_image(tmp_path / "x.png", "")
    assert found.shape == (3, 224, 224)
    shorter = min(size)
    wide, high = 224 * columns // shorter, 224 * rows // shorter
    resized = np.asarray(image.resize((wide, high), Image.Resampling.BILINEAR)) / 255
    left, top = round((wide - 224) / 2), round((high - 224) / 2)
    expected = resized[top : top + 224, left : left + 224].transpose(2, 0, 1)
    assert np.allclose(found, expected, atol=1e-6)
    assert found[0, 112, 112] == pytest.approx(0.5, abs=0.01)


def test_bad_imagenet_files(tree):
    path = tree / "imagenet" / "train" / "n02" / "n02_1.JPEG"
    raw = path.read_bytes()
    for content in (raw[: len(raw) // 2], b"junk", b""):
        path.write_bytes(content)
        with pytest.raises(DataError, match=f"{path}: unreadable image .*bring your own"):
            imagenet_paper(data_dir=str(tree), classes=3).take("train", torch.arange(24))
    with pytest.raises(DataError, match="3 folders of classes; expected 1000"):
        imagenet_paper(data_dir=str(tree))
    with pytest.raises(DataError, match="missing in"):
        imagenet_paper(data_dir=str(tree / "nowhere"))


def test_the_problem_streams_the_tree(tree, monkeypatch):
    from functools import partial

    monkeypatch.setattr(
        "alig_deepobs.testproblems.paper_vision.imagenet_resnet18_alig.source",
        partial(imagenet_paper, classes=3),
    )
    monkeypatch.setattr(imagenet_resnet18_alig, "build_net", lambda *_: torch.nn.ReLU())
    problem = imagenet_resnet18_alig(7, data_dir=str(tree), device="cpu", seed=42)
    problem.set_up()
    sizes = [len(y) for _, y in problem.batches("train")]
    assert sizes == [7, 7, 4]
    images, _ = next(problem.batches("valid"))
    raw = problem.data.take("valid", torch.tensor([0]))[0][0]
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    deviation = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    assert torch.allclose(images[0], (raw - mean) / deviation, atol=1e-5)
