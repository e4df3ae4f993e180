"""CIFAR, SVHN and ImageNet: what the readers make of good and of bad files."""

import builtins
import dataclasses
import functools
import io
import logging
import pickle
import tarfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import torch
from scipy.io import savemat

from alig_deepobs.errors import DataError, UsageError
from alig_deepobs.registry import find_testproblem
from alig_deepobs.testproblems import cifar10_3c3d
from alig_deepobs.testproblems import imagenet as imagenet_problems
from alig_deepobs.testproblems import imagenet_vgg16 as imagenet_problem
from alig_deepobs.testproblems.datasets import fetch
from alig_deepobs.testproblems.datasets.cifar import cifar10, cifar100
from alig_deepobs.testproblems.datasets.identity import data_identity
from alig_deepobs.testproblems.datasets.imagenet import imagenet, read_image
from alig_deepobs.testproblems.datasets.sources import CIFAR10, CIFAR100, IMAGENET, SVHN
from alig_deepobs.testproblems.datasets.svhn import svhn
from alig_deepobs.testproblems.datasets.verify import FileState
from alig_deepobs.testproblems.models.resize import resize_bilinear

NAMES = [member.name for member in CIFAR10.files[0].members]
ARCHIVE = "cifar-10-binary.tar.gz"


def record_bytes(rng, count, label_bytes=1, classes=10):
    table = rng.integers(0, 256, (count, label_bytes + 3072), np.uint8)
    table[:, :label_bytes] %= classes
    return table.tobytes()


@pytest.fixture
def contents():
    rng = np.random.default_rng(0)
    return {name: record_bytes(rng, 20) for name in NAMES}


@pytest.fixture
def folder(tmp_path, contents):
    path = tmp_path / "data" / "cifar-10-batches-bin"
    path.mkdir(parents=True)
    for name, content in contents.items():
        (path / name).write_bytes(content)
    return path


def write_archive(path, members):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            if content is None:
                info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
                archive.addfile(info)
            else:
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return path


def in_folder(contents):
    return {f"cifar-10-batches-bin/{name}": content for name, content in contents.items()}


def load(folder):
    return cifar10(data_dir=str(folder))


def test_the_decoded_images_and_labels(folder, contents, caplog):
    with caplog.at_level(logging.WARNING):
        data = load(folder.parent)
    assert data.label == "CIFAR-10 (unverified files)"
    assert data.source == "unverified"
    assert "are not the official ones of CIFAR-10" in caplog.text
    images, labels = data.parts["train"]
    assert images.shape == (100, 3, 32, 32)
    assert (images.dtype, labels.dtype) == (torch.uint8, torch.int64)
    # The first image of the second file: its label, then all of red, of green, of blue.
    record = contents["data_batch_2.bin"][:3073]
    assert labels[20] == record[0]
    assert images[20].flatten().tolist() == list(record[1:])
    assert images[20, 1, 0, 2] == record[1 + 1024 + 2]
    assert data.parts["test"][1][0] == contents["test_batch.bin"][0]
    batch = data.take("train", torch.tensor([20]))
    assert batch[0].dtype == torch.float32
    assert torch.equal(batch[0][0], images[20].float())  # not divided


@pytest.mark.parametrize("name", ["cifar10", "cifar-10", "cifar-10-batches-bin", "."])
def test_folder_names(tmp_path, folder, name):
    expected = load(folder.parent).version
    target = tmp_path / "other" / name
    target.parent.mkdir(exist_ok=True)
    folder.rename(target)
    assert load(tmp_path / "other").version == expected


def test_the_archive_is_as_good_as_its_files(tmp_path, folder, contents):
    write_archive(tmp_path / "archive" / "cifar10" / ARCHIVE, in_folder(contents))
    assert load(tmp_path / "archive").version == load(folder.parent).version
    # Nothing is unpacked.
    assert [p.name for p in (tmp_path / "archive").rglob("*")] == ["cifar10", ARCHIVE]


def test_official_digests_are_recognized(folder, contents, monkeypatch, tmp_path):
    import hashlib

    parts = tuple(
        dataclasses.replace(part, sha256=hashlib.sha256(contents[part.name]).hexdigest())
        for part in CIFAR10.files[0].members
    )
    file = dataclasses.replace(CIFAR10.files[0], members=parts)
    source = dataclasses.replace(CIFAR10, files=(file,))
    monkeypatch.setattr("alig_deepobs.testproblems.datasets.cifar.CIFAR10", source)
    assert load(folder.parent).label == "CIFAR-10"
    state = partial(fetch.check_file, source, file)
    assert state(str(folder.parent)) == (folder, FileState.OK_CONTENT)
    (folder / NAMES[2]).write_bytes(contents[NAMES[3]])
    assert state(str(folder.parent)) == (folder, FileState.UNVERIFIED)
    (folder / NAMES[2]).write_bytes(contents[NAMES[3]][:-1])
    assert state(str(folder.parent)) == (folder, FileState.CORRUPT)
    path = write_archive(tmp_path / "a" / ARCHIVE, in_folder(contents))
    assert state(str(tmp_path / "a")) == (path, FileState.OK_CONTENT)
    path.write_bytes(path.read_bytes()[:-400])
    assert state(str(tmp_path / "a")) == (path, FileState.CORRUPT)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c[:-1], "61459 bytes; expected a multiple of 3073"),
        (lambda c: b"", "empty; expected at least one record"),
        (lambda c: c[:3073] + b"\x0b" + c[3074:], "label 11 at record 1; expected labels from 0"),
    ],
)
def test_bad_records(folder, contents, change, message):
    (folder / "data_batch_3.bin").write_bytes(change(contents["data_batch_3.bin"]))
    with pytest.raises(DataError) as caught:
        load(folder.parent)
    text = str(caught.value)
    assert str(folder / "data_batch_3.bin") in text
    assert message in text
    assert "`alig-deepobs data fetch cifar10 --data_dir" in text
    assert "\n" not in text


def test_a_missing_file(folder):
    (folder / "test_batch.bin").unlink()
    with pytest.raises(DataError, match=r"cifar-10-binary.tar.gz missing in"):
        load(folder.parent)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda raw: raw[: len(raw) // 2], "truncated"),
        (lambda raw: raw[:-300], "truncated"),
        (lambda raw: raw[:5000] + bytes(64) + raw[5064:], "corrupt"),
        (lambda raw: b"<html>not found</html>", "expected a .tar.gz file"),
        (lambda raw: b"", "expected a .tar.gz file"),
    ],
)
def test_broken_archives(tmp_path, contents, spoil, message):
    path = write_archive(tmp_path / "cifar10" / ARCHIVE, in_folder(contents))
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(DataError) as caught:
        load(tmp_path)
    assert f"{path}: " in str(caught.value)
    assert message in str(caught.value)
    assert [p.name for p in tmp_path.rglob("*.bin")] == []


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"../outside.bin": b"x"}, r"'../outside.bin' points outside the folder"),
        ({"/tmp/outside.bin": b"x"}, r"'/tmp/outside.bin' points outside the folder"),
        ({"a/../../data_batch_1.bin": b"x"}, "points outside the folder"),
        ({"cifar-10-batches-bin/data_batch_9.bin": None}, "is a link or a device"),
        ({"again/data_batch_1.bin": b"x"}, "holds data_batch_1.bin twice"),
    ],
)
def test_archives_with_strange_members(tmp_path, contents, extra, message):
    path = write_archive(tmp_path / "data" / "cifar10" / ARCHIVE, in_folder(contents) | extra)
    with pytest.raises(DataError, match=message):
        load(tmp_path / "data")
    assert sorted(tmp_path.rglob("*")) == [tmp_path / "data", path.parent, path]


def test_an_archive_that_lacks_a_member(tmp_path, contents):
    del contents["data_batch_4.bin"]
    write_archive(tmp_path / "cifar10" / ARCHIVE, in_folder(contents))
    with pytest.raises(DataError, match=r"data_batch_4.bin not in it"):
        load(tmp_path)


def test_the_archive_is_downloaded_and_checked(tmp_path, contents, monkeypatch, cache):
    import hashlib

    path = write_archive(tmp_path / "server" / ARCHIVE, in_folder(contents))

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(path.parent)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    file = dataclasses.replace(CIFAR10.files[0], sha256=sha256)
    source = dataclasses.replace(
        CIFAR10, files=(file,), mirrors=(f"http://127.0.0.1:{server.server_port}/",)
    )
    monkeypatch.setattr("alig_deepobs.testproblems.datasets.cifar.CIFAR10", source)
    try:
        assert cifar10().size("train") == 100
    finally:
        server.shutdown()
        server.server_close()
    assert [p.name for p in (cache / "cifar10").iterdir()] == [ARCHIVE]
    assert fetch.check_file(source, file)[1] is FileState.OK


def test_cifar100_takes_the_fine_labels(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("train.bin", "test.bin"):
        (tmp_path / name).write_bytes(record_bytes(rng, 8, 2, 100))
    data = cifar100(data_dir=str(tmp_path))
    raw = np.frombuffer((tmp_path / "train.bin").read_bytes(), np.uint8).reshape(8, -1)
    assert data.parts["train"][1].tolist() == raw[:, 1].tolist()
    assert data.parts["train"][0][3].flatten().tolist() == raw[3, 2:].tolist()
    (tmp_path / "test.bin").write_bytes(record_bytes(rng, 8, 1))
    with pytest.raises(DataError, match="expected a multiple of 3074"):
        cifar100(data_dir=str(tmp_path))
    assert CIFAR100.files[0].members[0].unit == 3074


def svhn_arrays(rng, count):
    images = rng.integers(0, 256, (32, 32, 3, count), np.uint8)
    return images, rng.integers(1, 11, (count, 1), np.uint8)


@pytest.fixture
def svhn_folder(tmp_path):
    rng = np.random.default_rng(0)
    folder = tmp_path / "mat" / "svhn"
    folder.mkdir(parents=True)
    for file, count in zip(SVHN.files, (40, 12), strict=True):
        images, labels = svhn_arrays(rng, count)
        savemat(folder / file.name, {"X": images, "y": labels}, do_compression=True)
    return folder


def test_svhn_in_both_formats(tmp_path, svhn_folder):
    from scipy.io import loadmat

    data = svhn(data_dir=str(svhn_folder.parent))
    raw = loadmat(svhn_folder / "train_32x32.mat")
    assert data.label == "SVHN (unverified files)"
    assert data.source == "unverified"
    assert data.parts["train"][1].tolist() == (raw["y"][:, 0] % 10).tolist()
    assert np.array_equal(data.parts["train"][0][7], raw["X"][..., 7].transpose(2, 0, 1))
    # DeepOBS's converter: the label, then the image with the three numbers of a pixel together.
    target = tmp_path / "bin" / "svhn"
    target.mkdir(parents=True)
    for part, files in (("train", 5), ("test", 1)):
        raw = loadmat(svhn_folder / f"{part}_32x32.mat")
        records = [
            bytes([raw["y"][i, 0] % 10]) + raw["X"][..., i].tobytes()
            for i in range(raw["X"].shape[3])
        ]
        size = len(records) // files
        for i in range(files):
            name = f"data_batch_{i}.bin" if part == "train" else "test_batch.bin"
            (target / name).write_bytes(b"".join(records[i * size : (i + 1) * size]))
    converted = svhn(data_dir=str(tmp_path / "bin"))
    assert converted.version == data.version
    assert svhn(data_dir=str(svhn_folder.parent), train_size=30).size("train") == 30
    assert svhn(data_dir=str(svhn_folder.parent), train_size=None).size("train") == 40
    path = target / "test_batch.bin"
    path.write_bytes(path.read_bytes() * 2200)
    with pytest.raises(DataError, match=r"26400 records; expected at most 26032 .*twice"):
        svhn(data_dir=str(tmp_path / "bin"))


def overwrite(**variables):
    return lambda path: savemat(path, variables)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-2000]), "truncated or corrupt"),
        (lambda path: path.write_bytes(b"junk"), "expected a MATLAB 5 file"),
        (lambda path: path.write_bytes(pickle.dumps({"X": 1})), "expected a MATLAB 5 file"),
        (overwrite(X=np.zeros((32, 32, 3, 2), np.uint8)), "expected the variables X"),
        (overwrite(X=np.zeros((2, 32, 32, 3), np.uint8), y=[1, 2]), "expected uint8 and"),
        (overwrite(X=np.zeros((32, 32, 3, 2)), y=[1, 2]), "type float64"),
        (overwrite(X=np.zeros((32, 32, 3, 2), np.uint8), y=[1, 2, 3]), "3 labels of type"),
        (overwrite(X=np.zeros((32, 32, 3, 2), np.uint8), y=[1, 11]), "label 11 at record 1"),
    ],
)
def test_bad_svhn_files(svhn_folder, spoil, message):
    spoil(svhn_folder / "test_32x32.mat")
    with pytest.raises(DataError) as caught:
        svhn(data_dir=str(svhn_folder.parent))
    assert f"{svhn_folder / 'test_32x32.mat'}: " in str(caught.value)
    assert message in str(caught.value)
    assert "`alig-deepobs data fetch svhn" in str(caught.value)


def test_states_of_svhn_files(svhn_folder):
    file = SVHN.files[1]
    path = svhn_folder / file.name
    assert fetch.check_file(SVHN, file, str(svhn_folder)) == (path, FileState.UNVERIFIED)
    path.write_bytes(path.read_bytes()[:-2000])
    assert fetch.check_file(SVHN, file, str(svhn_folder)) == (path, FileState.CORRUPT)


Image = pytest.importorskip("PIL.Image")


@pytest.fixture
def tree(tmp_path):
    """Three classes with two images each for training, one for testing."""
    rng = np.random.default_rng(0)
    for part, count in (("train", 2), ("val", 1)):
        for wnid in ("n02", "n01", "n03"):
            folder = tmp_path / "imagenet" / part / wnid
            folder.mkdir(parents=True)
            for i in range(count):
                pixels = rng.integers(0, 256, (20 + 10 * i, 30, 3), np.uint8)
                Image.fromarray(pixels).save(folder / f"{wnid}_{i}.JPEG", "JPEG")
    return tmp_path


def test_imagenet_tree(tree):
    data = imagenet(data_dir=str(tree), classes=3)
    assert (data.size("train"), data.size("test")) == (6, 3)
    assert data.parts["train"][0].tolist() == [1, 1, 2, 2, 3, 3]
    images, labels = data.take("train", torch.tensor([4, 0]))
    assert images.shape == (2, 3, 256, 256)
    assert labels.tolist() == [3, 1]
    path = tree / "imagenet" / "train" / "n03" / "n03_0.JPEG"
    raw = torch.from_numpy(np.array(Image.open(path))).permute(2, 0, 1).float() / 255
    resized = resize_bilinear(raw, 256, 384)
    assert torch.allclose(images[0], resized[:, :, 64 : 64 + 256])
    assert torch.equal(next(data.slices("test", 2))[1], torch.tensor([1, 2]))
    assert data.for_split("full").to(torch.device("cpu")).take("test", torch.tensor([2]))[1] == 3
    with pytest.raises(UsageError, match="imagenet has no validation set"):
        data.for_split("validation")
    assert data.source == "unverified"  # nothing is known of it that it could be compared with


def test_a_new_image_is_another_version(tree, monkeypatch):
    small = functools.partial(imagenet, classes=3)
    monkeypatch.setattr(imagenet_problems.imagenet_vgg16, "source", small)

    def identify():
        return data_identity(
            find_testproblem("imagenet_vgg16"), problem_options={}, split="full", synthetic=False,
            data_dir=str(tree), offline=True,
        )  # fmt: skip

    before = identify()
    assert before.version == imagenet(data_dir=str(tree), classes=3).version
    path = tree / "imagenet" / "train" / "n03" / "n03_0.JPEG"
    (tree / "imagenet" / "val" / "n01" / "new.JPEG").write_bytes(path.read_bytes())
    assert identify().version != before.version


def test_grey_and_transparent_images(tmp_path):
    for mode, kind in (("L", "JPEG"), ("RGBA", "PNG"), ("CMYK", "JPEG"), ("P", "PNG")):
        path = tmp_path / f"{mode}.JPEG"
        Image.new(mode, (40, 50)).save(path, kind)
        assert read_image(path, "").shape == (3, 256, 256)


@pytest.mark.parametrize("kind", ["EPS", "TIFF", "PDF", "GIF", "BMP", "WEBP", "PPM", "ICO"])
def test_other_formats_are_not_even_looked_at(tmp_path, monkeypatch, kind):
    path = tmp_path / "a.JPEG"
    Image.new("RGB", (40, 50)).save(path, kind)

    def started(*args, **kwargs):
        raise AssertionError("another program was started")

    monkeypatch.setattr("subprocess.Popen", started)  # an EPS would start Ghostscript
    with pytest.raises(DataError, match=r"a\.JPEG: unreadable image"):
        read_image(path, "")


@pytest.mark.parametrize("size", [(40_000, 100), (1, 300), (10_000, 10_000), (65_000, 1)])
def test_images_that_take_too_much_memory(tmp_path, size):
    path = tmp_path / "a.JPEG"
    Image.new("L", size).save(path, "JPEG")
    with pytest.raises(DataError, match=f"{size[0]} x {size[1]} pixels"):
        read_image(path, "")


def test_bad_imagenet_trees(tree, monkeypatch):
    def message(classes=3):
        with pytest.raises(DataError) as caught:
            imagenet(data_dir=str(tree), classes=classes).take("train", torch.arange(6))
        return str(caught.value)

    assert "3 folders of classes; expected 1000" in message(1000)
    path = tree / "imagenet" / "train" / "n02" / "n02_1.JPEG"
    raw = path.read_bytes()
    path.write_bytes(raw[: len(raw) // 2])
    assert f"{path}: unreadable image" in message()
    path.write_bytes(b"junk")
    assert f"{path}: unreadable image" in message()
    path.write_bytes(raw)
    only = tree / "imagenet" / "val" / "n02" / "n02_0.JPEG"
    only.unlink()
    assert f"{only.parent}: no images" in message()
    only.parent.rmdir()
    assert "1 classes are missing that the other part has (n02)" in message()

    real_import = builtins.__import__

    def no_pillow(name, *args, **kwargs):
        if name.startswith("PIL"):
            raise ImportError(name)
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", no_pillow)
    assert "pip install alig-deepobs[imagenet]" in message()


def test_imagenet_is_brought_by_the_user(tmp_path, tree):
    with pytest.raises(DataError, match=r"train, val missing in .*bring your own copy"):
        imagenet(data_dir=str(tmp_path / "none"))
    with pytest.raises(DataError, match="bring your own"):
        fetch.fetch(IMAGENET)
    file = IMAGENET.files[0]
    assert fetch.check_file(IMAGENET, file) == (None, FileState.OWN)
    assert fetch.check_file(IMAGENET, file, str(tree))[0] == tree / "imagenet" / "train"
    assert FileState.OWN.good


def test_the_problem_streams_the_tree(tree, monkeypatch):
    monkeypatch.setattr(imagenet_problem, "source", partial(imagenet, classes=3))
    monkeypatch.setattr(imagenet_problem, "build_net", lambda self, generator: torch.nn.ReLU())
    problem = imagenet_problem(2, data_dir=str(tree), device="cpu", seed=42)
    problem.set_up()
    batch = next(problem.batches("train"))
    assert batch[0].shape == (2, 3, 224, 224)
    assert batch[0].mean().item() == pytest.approx(0, abs=1e-4)
    found = next(problem.batches("test"))[0]
    raw = problem.data.take("test", torch.tensor([0]))[0][0, :, 16:240, 16:240]
    assert torch.allclose(found[0], (raw - raw.mean()) / raw.std(correction=0), atol=1e-4)


def test_twins():
    for load_set, classes in ((cifar10, 10), (cifar100, 100), (svhn, 10)):
        data, again = load_set(synthetic=True), load_set(synthetic=True)
        assert data.version == again.version
        images, labels = data.parts["train"]
        assert images.shape == (512, 3, 32, 32)
        assert (images.dtype, labels.dtype) == (torch.uint8, torch.int64)
        assert set(labels.tolist()) == set(range(classes))
        assert data.size("test") == 256
        assert data.label == f"{data.label.split(' (')[0]} (synthetic twin)"
    data = imagenet(synthetic=True)
    assert data.label == "ImageNet (synthetic twin)"
    assert data.parts["train"][0].shape == (16, 3, 256, 256)
    assert 1 <= data.parts["train"][1].min() <= data.parts["train"][1].max() <= 1000
    images, _ = data.take("test", torch.arange(8))
    assert 0 <= images.min() < images.max() <= 1


def test_validation_split(folder):
    problem = cifar10_3c3d(8, data_dir=str(folder.parent), device="cpu", split="validation")
    problem.set_up()
    assert [problem.data.size(part) for part in ("train", "valid", "test")] == [75, 25, 20]
