"""Where the official files of the data sets are, and what is in them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from alig_deepobs.errors import unknown_name

DataSource = Literal["official", "unverified", "bundled", "generated", "synthetic"]
"""Where data come from: official files for certain; files that are others, or that cannot be
compared with official ones; an installed package; drawn numbers; the synthetic twin."""


def label_of(label: str, source: DataSource) -> str:
    """The label of data that may not be the official ones.

    Example:
        >>> label_of("MNIST", "official"), label_of("MNIST", "synthetic")
        ('MNIST', 'MNIST (synthetic twin)')
    """
    notes = {"unverified": " (unverified files)", "synthetic": " (synthetic twin)"}
    return label + notes.get(source, "")


@dataclass(frozen=True)
class RemoteFile:
    """An official file.

    Attributes:
        name: its name, the same on every mirror.
        size: its length in bytes.
        sha256: digest of the file.
        content_sha256: digest of what it holds when it is decompressed, where it is known. It
            recognizes copies that were compressed again.
        members: files with the same content, which all together are as good as this one: the
            members of an archive that was unpacked, or the files that a converter made of it.
        unit: its length is a multiple of this many bytes.
        is_folder: whether it is a folder of files.
    """

    name: str
    size: int
    sha256: str | None
    content_sha256: str | None = None
    members: tuple[RemoteFile, ...] = ()
    unit: int = 1
    is_folder: bool = False


@dataclass(frozen=True)
class Source:
    """A data set and its files.

    Attributes:
        name: the name on the command line, and of the folder.
        label: the name in reports.
        files: the files; none where the data come with the package.
        mirrors: addresses that the name of a file is appended to, tried in this order.
        citation: where the data come from.
        folders: further names that the folder may have.
        own: whether there is nothing to download or to compare with: the user brings the files.
        home: where the user gets them, for data of this kind.
    """

    name: str
    label: str
    files: tuple[RemoteFile, ...] = ()
    mirrors: tuple[str, ...] = ()
    citation: str = ""
    folders: tuple[str, ...] = ()
    own: bool = False
    home: str = ""

    @property
    def size(self) -> int:
        """The length of all files in bytes."""
        return sum(file.size for file in self.files)


MNIST = Source(
    name="mnist",
    label="MNIST",
    files=(
        RemoteFile(
            "train-images-idx3-ubyte.gz",
            9_912_422,
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        ),
        RemoteFile(
            "train-labels-idx1-ubyte.gz",
            28_881,
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        ),
        RemoteFile(
            "t10k-images-idx3-ubyte.gz",
            1_648_877,
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        ),
        RemoteFile(
            "t10k-labels-idx1-ubyte.gz",
            4_542,
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    ),
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    citation="LeCun, Cortes, Burges: The MNIST database of handwritten digits",
)

FMNIST = Source(
    name="fmnist",
    label="Fashion-MNIST",
    files=(
        RemoteFile(
            "train-images-idx3-ubyte.gz",
            26_421_880,
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        ),
        RemoteFile(
            "train-labels-idx1-ubyte.gz",
            29_515,
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        ),
        RemoteFile(
            "t10k-images-idx3-ubyte.gz",
            4_422_102,
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        ),
        RemoteFile(
            "t10k-labels-idx1-ubyte.gz",
            5_148,
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        ),
    ),
    mirrors=(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ),
    citation="Xiao, Rasul, Vollgraf: Fashion-MNIST, arXiv:1708.07747",
)

CIFAR10_RECORD = 1 + 3 * 32 * 32
CIFAR100_RECORD = 2 + 3 * 32 * 32

CIFAR10 = Source(
    name="cifar10",
    label="CIFAR-10",
    files=(
        RemoteFile(
            "cifar-10-binary.tar.gz",
            170_052_171,
            "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
            members=tuple(
                RemoteFile(name, 10_000 * CIFAR10_RECORD, sha256, unit=CIFAR10_RECORD)
                for name, sha256 in (
                    (
                        "data_batch_1.bin",
                        "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
                    ),
                    (
                        "data_batch_2.bin",
                        "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
                    ),
                    (
                        "data_batch_3.bin",
                        "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
                    ),
                    (
                        "data_batch_4.bin",
                        "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
                    ),
                    (
                        "data_batch_5.bin",
                        "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
                    ),
                    (
                        "test_batch.bin",
                        "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
                    ),
                )
            ),
        ),
    ),
    mirrors=("https://www.cs.toronto.edu/~kriz/",),
    citation="Krizhevsky: Learning multiple layers of features from tiny images, 2009",
    folders=("cifar-10", "cifar-10-batches-bin"),
)

CIFAR100 = Source(
    name="cifar100",
    label="CIFAR-100",
    files=(
        RemoteFile(
            "cifar-100-binary.tar.gz",
            168_513_733,
            "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
            members=(
                RemoteFile(
                    "train.bin",
                    50_000 * CIFAR100_RECORD,
                    "f31298fc616915fa142368359df1c4ca2ae984d6915ca468b998a5ec6aeebf29",
                    unit=CIFAR100_RECORD,
                ),
                RemoteFile(
                    "test.bin",
                    10_000 * CIFAR100_RECORD,
                    "d8b1e6b7b3bee4020055f0699b111f60b1af1e262aeb93a0b659061746f8224a",
                    unit=CIFAR100_RECORD,
                ),
            ),
        ),
    ),
    mirrors=("https://www.cs.toronto.edu/~kriz/",),
    citation="Krizhevsky: Learning multiple layers of features from tiny images, 2009",
    folders=("cifar-100", "cifar-100-binary"),
)

# The members are what DeepOBS's converter makes of the two files. Their digests are not published.
SVHN = Source(
    name="svhn",
    label="SVHN",
    files=(
        RemoteFile(
            "train_32x32.mat",
            182_040_794,
            "435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8",
            members=tuple(
                RemoteFile(
                    f"data_batch_{i}.bin", 12_800 * CIFAR10_RECORD, None, unit=CIFAR10_RECORD
                )
                for i in range(5)
            ),
        ),
        RemoteFile(
            "test_32x32.mat",
            64_275_384,
            "cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b",
            members=(
                RemoteFile("test_batch.bin", 26_032 * CIFAR10_RECORD, None, unit=CIFAR10_RECORD),
            ),
        ),
    ),
    mirrors=("http://ufldl.stanford.edu/housenumbers/",),
    citation="Netzer et al.: Reading digits in natural images, 2011",
    folders=("svhn_extra",),
)

# The same two files and the easy images beside them. The files of DeepOBS's converter will not do:
# they lack training images.
SVHN_EXTRA = Source(
    name="svhn_extra",
    label="SVHN with extra images",
    files=(
        *(replace(file, members=()) for file in SVHN.files),
        RemoteFile(
            "extra_32x32.mat",
            1_329_278_602,
            "a133a4beb38a00fcdda90c9489e0c04f900b660ce8a316a5e854838379a71eb3",
        ),
    ),
    mirrors=SVHN.mirrors,
    citation=SVHN.citation,
    folders=("svhn",),
)

# The edition of the text that DeepOBS's preparation script downloads.
TOLSTOI = Source(
    name="tolstoi",
    label="Tolstoi",
    files=(
        RemoteFile(
            "war-and-peace.txt",
            3_291_641,
            "3ed0f41cfdf660846878943bad5b9d575bcae1e4a92ee9a7f43d3c9dba2af344",
            members=(
                RemoteFile(
                    "train.npy",
                    20_903_712,
                    "6744d24c8c301af5e91392e878760c57cc0686144ea2be5ce953ef7c1bd6b35c",
                ),
                RemoteFile(
                    "test.npy",
                    5_226_024,
                    "59b12f4701d6d55a193120e931358a1a341e38893cd13b10bfe14e9ad4070015",
                ),
            ),
        ),
    ),
    mirrors=(
        "https://raw.githubusercontent.com/AllenDowney/fluent-python-notebooks/master/attic/"
        "sequences/",
    ),
    citation="Tolstoi: War and Peace, as prepared by DeepOBS",
)

IMAGENET = Source(
    name="imagenet",
    label="ImageNet",
    files=(
        RemoteFile("train", 0, None, is_folder=True),
        RemoteFile("val", 0, None, is_folder=True),
    ),
    citation="Russakovsky et al.: ImageNet large scale visual recognition challenge, IJCV 2015",
    own=True,
)

SNLI = Source(
    name="snli",
    label="SNLI",
    files=(
        RemoteFile(
            "snli_1.0.zip",
            94_550_081,
            "afb3d70a5af5d8de0d9d81e2637e0fb8c22d1235c2749d83125ca43dab0dbd3e",
            members=(
                RemoteFile(
                    "snli_1.0_train.jsonl",
                    487_457_790,
                    "ee95dfbc57800f7b1f62b7602ad2b176c2b983210435a49238e660324a01e963",
                ),
                RemoteFile(
                    "snli_1.0_dev.jsonl",
                    9_745_714,
                    "9c03faff70182ef086ebfeed2cffbabb5fcc6a84a8b3314decbbb5b01f07f4bf",
                ),
                RemoteFile(
                    "snli_1.0_test.jsonl",
                    9_730_457,
                    "1147550151ca8b16ddb31d8dc0e739a670a65f7c3e64aac5951eaeff103fb220",
                ),
            ),
        ),
    ),
    mirrors=("https://nlp.stanford.edu/projects/snli/",),
    citation="Bowman et al.: A large annotated corpus for learning natural language inference, "
    "EMNLP 2015",
    folders=("snli_1.0",),
)

# A smaller corpus in the same format, for computers that take weeks for SNLI itself.
SNLI_MINI = Source(
    name="snli_mini",
    label="SNLI-mini",
    files=tuple(
        RemoteFile(f"snli_mini_1.0_{part}.jsonl", 0, None) for part in ("train", "dev", "test")
    ),
    citation=SNLI.citation,
    folders=("snli_mini_1.0",),
    own=True,
)

GLOVE = Source(
    name="glove",
    label="GloVe",
    files=(RemoteFile("glove.840B.300d.txt", 0, None),),
    citation="Pennington, Socher, Manning: GloVe: global vectors for word representation, "
    "EMNLP 2014",
    own=True,
    home="https://nlp.stanford.edu/data/glove.840B.300d.zip",
)

SOURCES = {
    source.name: source
    for source in (
        MNIST,
        FMNIST,
        CIFAR10,
        CIFAR100,
        SVHN,
        SVHN_EXTRA,
        TOLSTOI,
        IMAGENET,
        SNLI,
        SNLI_MINI,
        GLOVE,
        Source("digits", "Digits (scikit-learn)", citation="UCI optdigits, in scikit-learn"),
        Source("quadratic", "Quadratic", citation="drawn as in DeepOBS 1.1.2"),
        Source("two_d", "2D noise", citation="drawn as in DeepOBS 1.1.2"),
        Source("repeat_copy", "Repeat copy", citation="Graves et al., Nature 2016"),
    )
}


def find_source(name: str) -> Source:
    """The data set of a name.

    Raises:
        UsageError: there is none; the message has the nearest names.
    """
    if name not in SOURCES:
        raise unknown_name("data set", name, SOURCES)
    return SOURCES[name]
