"""Writes small random data sets in the official formats, as DeepOBS 1.1.2 reads them."""

import gzip
import struct

import numpy as np

SEQUENCE, VOCABULARY = 50, 83


def write(name, folder, train, test, batch_size=1):
    """Writes the files of a data set into a data_dir.

    Args:
        name: the part of the problem's name before the first underscore.
        folder: the data_dir, a pathlib.Path.
        train: number of training examples.
        test: number of test examples.
        batch_size: for texts only, whose examples are cut according to it.
    """
    rng = np.random.default_rng(0)
    if name in ("mnist", "fmnist"):
        for data_set in ("mnist", "fmnist"):  # DeepOBS's fmnist_mlp reads the files of MNIST
            _write_idx(folder / data_set, rng, {"train": train, "t10k": test})
    elif name in ("cifar10", "cifar100", "svhn"):
        _write_binaries(name, folder, rng, train, test)
    elif name == "tolstoi":
        _make(folder / "tolstoi")
        for part, batches in (("train", train // batch_size), ("test", test // batch_size)):
            ids = rng.integers(0, VOCABULARY, batches * batch_size * SEQUENCE + 1)
            np.save(folder / "tolstoi" / f"{part}.npy", ids.astype(np.int64))
    elif name == "imagenet":
        _write_records(folder, rng, {"train-00000-of-00001": train, "validation-00000": test})


def shift_cifar100(folder):
    """Changes the files of CIFAR-100 into what DeepOBS 1.1.2 makes of them.

    It takes the image from one byte too early: its first byte is the label, its last one is lost.
    """
    for path in (folder / "cifar-100").iterdir():
        records = np.fromfile(path, np.uint8).reshape(-1, 2 + 3 * 32 * 32)
        np.concatenate([records[:, :2], records[:, 1:-1]], axis=1).tofile(path)


def _make(folder):
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _write_idx(folder, rng, sizes):
    _make(folder)
    for part, size in sizes.items():
        images = rng.integers(0, 256, (size, 28, 28), np.uint8)
        labels = rng.integers(0, 10, size, np.uint8)
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            header = struct.pack(f">{1 + array.ndim}I", 0x0800 + array.ndim, *array.shape)
            content = gzip.compress(header + array.tobytes(), mtime=0)
            (folder / f"{part}-{kind}-ubyte.gz").write_bytes(content)


def _write_binaries(name, folder, rng, train, test):
    def draw(size):
        # Smooth images, so that standardizing them matters as it does for photographs.
        coarse = rng.integers(0, 256, (size, 3, 8, 8))
        images = np.kron(coarse, np.ones((4, 4))) * rng.uniform(0.3, 1.0, (size, 3, 1, 1))
        if name == "svhn":
            images = images.transpose(0, 2, 3, 1)
        classes = 100 if name == "cifar100" else 10
        columns = [rng.integers(0, classes, (size, 1)), images.reshape(size, -1)]
        if name == "cifar100":
            columns.insert(0, rng.integers(0, 20, (size, 1)))  # the coarse label comes first
        return np.concatenate(columns, axis=1).astype(np.uint8)

    target = _make(folder / {"cifar10": "cifar-10", "cifar100": "cifar-100"}.get(name, name))
    if name == "cifar100":
        draw(train).tofile(target / "train.bin")
        draw(test).tofile(target / "test.bin")
        return
    first = {"cifar10": 1, "svhn": 0}[name]
    for number, records in enumerate(np.array_split(draw(train), 5), first):
        records.tofile(target / f"data_batch_{number}.bin")
    draw(test).tofile(target / "test_batch.bin")


def _write_records(folder, rng, sizes):
    import tensorflow as tf

    def feature(**value):
        return tf.train.Feature(**value)

    _make(folder / "imagenet")
    for file_name, size in sizes.items():
        with tf.io.TFRecordWriter(str(folder / "imagenet" / file_name)) as writer:
            for _ in range(size):
                image = tf.io.encode_jpeg(rng.integers(0, 256, (260, 300, 3), np.uint8)).numpy()
                label = int(rng.integers(1, 1001))
                features = {
                    "image/encoded": feature(bytes_list=tf.train.BytesList(value=[image])),
                    "image/class/label": feature(int64_list=tf.train.Int64List(value=[label])),
                    "image/class/text": feature(bytes_list=tf.train.BytesList(value=[b"thing"])),
                }
                example = tf.train.Example(features=tf.train.Features(feature=features))
                writer.write(example.SerializeToString())
