"""Where the official files of the data sets are, and what is in them."""

from __future__ import annotations

from dataclasses import dataclass

from alig_deepobs.errors import unknown_name


@dataclass(frozen=True)
class RemoteFile:
    """An official file.

    Attributes:
        name: its name, the same on every mirror.
        size: its length in bytes.
        sha256: digest of the file.
        content_sha256: digest of what it holds when it is decompressed, where it is known. It
            recognizes copies that were compressed again.
    """

    name: str
    size: int
    sha256: str
    content_sha256: str | None = None


@dataclass(frozen=True)
class Source:
    """A data set and its files.

    Attributes:
        name: the name on the command line, and of the folder.
        label: the name in reports.
        files: the files; none where the data come with the package.
        mirrors: addresses that the name of a file is appended to, tried in this order.
        citation: where the data come from.
    """

    name: str
    label: str
    files: tuple[RemoteFile, ...] = ()
    mirrors: tuple[str, ...] = ()
    citation: str = ""

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

SOURCES = {
    source.name: source
    for source in (
        MNIST,
        FMNIST,
        Source("digits", "Digits (scikit-learn)", citation="UCI optdigits, in scikit-learn"),
        Source("quadratic", "Quadratic", citation="drawn as in DeepOBS 1.1.2"),
        Source("two_d", "2D noise", citation="drawn as in DeepOBS 1.1.2"),
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
