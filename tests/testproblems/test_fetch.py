"""Finding and downloading files; the only network is a server on this machine."""

import contextlib
import dataclasses
import gzip
import socketserver
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from alig_deepobs.errors import DataError, UsageError
from alig_deepobs.testproblems import mnist_logreg
from alig_deepobs.testproblems.datasets import fetch
from alig_deepobs.testproblems.datasets.download import Downloader
from alig_deepobs.testproblems.datasets.sources import MNIST, find_source
from alig_deepobs.testproblems.datasets.verify import FileState

IMAGES = "train-images-idx3-ubyte.gz"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def served(official, mnist_folder):
    """The official source with two mirrors, of which the first has nothing."""
    handler = partial(Quiet, directory=str(mnist_folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_port}"
    yield dataclasses.replace(official, mirrors=(f"{base}/nothing/", f"{base}/mnist/"))
    server.shutdown()
    server.server_close()


@pytest.fixture
def hostile():
    """A server that sends whatever a function writes to its socket."""
    servers = []

    def serve(send):
        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                self.request.recv(4096)
                with contextlib.suppress(OSError):
                    send(self.request.sendall)

        server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}/"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def endless(send):
    send(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        send(bytes(1 << 16))


def announced(send):
    send(b"HTTP/1.1 200 OK\r\ncontent-length: 995999999\r\n\r\n")
    time.sleep(60)


def drops(send):
    send(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n")
    while True:
        send(b"x")
        time.sleep(0.05)


def drops_of_headers(send):
    send(b"HTTP/1.1 200 OK\r\n")
    while True:
        send(b"x")
        time.sleep(0.05)


def zipped(send):
    content = gzip.compress(bytes(1 << 24))
    send(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: ")
    send(f"{len(content)}\r\n\r\n".encode() + content)


@pytest.mark.parametrize(
    ("send", "reason"),
    [
        (endless, "more than 28881 bytes"),
        (announced, "995999999 bytes; expected at most 28881"),
        (drops, "less than 1000 bytes per second"),
        (drops_of_headers, "less than 1000 bytes per second"),
        (zipped, "hash"),
        (lambda send: send(b"junk"), "127.0.0.1"),
        (lambda send: send(b"HTTP/1.1 302 Found\r\nlocation: file:///etc/passwd\r\n\r\n"), "file"),
    ],
)
def test_servers_that_do_not_mean_well(hostile, monkeypatch, tmp_path, send, reason):
    monkeypatch.setattr(fetch, "Downloader", partial(Downloader, patience=0.5))
    source = dataclasses.replace(MNIST, mirrors=(hostile(send),))
    start = time.monotonic()
    with pytest.raises(DataError, match="could not be downloaded") as caught:
        fetch.download(source, MNIST.files[1], tmp_path)
    assert time.monotonic() - start < 5
    assert reason in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("the network was touched")

    monkeypatch.setattr("socket.socket.connect", refuse)


def test_download_into_the_cache(served, cache):
    paths = fetch.require(served)
    assert [path.parent for path in paths] == [cache / "mnist"] * 4
    assert sorted(path.name for path in (cache / "mnist").iterdir()) == sorted(
        file.name for file in served.files
    )
    assert all(fetch.check_file(served, file)[1] is FileState.OK for file in served.files)


def test_what_is_there_is_not_downloaded_again(served, no_network, mnist_folder):
    assert len(fetch.require(served, str(mnist_folder))) == 4
    assert len(fetch.fetch(served, str(mnist_folder))) == 4


def test_fetch_replaces_corrupt_files(served, tmp_path):
    path = fetch.fetch(served, str(tmp_path / "new"))[0]
    assert path == tmp_path / "new" / "mnist" / IMAGES
    good = path.read_bytes()
    path.write_bytes(good[:-100])
    assert fetch.check_file(served, served.files[0], str(tmp_path / "new"))[1] is FileState.CORRUPT
    fetch.fetch(served, str(tmp_path / "new"))
    assert path.read_bytes() == good


def test_fetch_leaves_other_sound_files_alone(served, no_network, mnist_folder, caplog):
    path = mnist_folder / "mnist" / IMAGES
    path.write_bytes(gzip.compress(b"something else"))
    fetch.fetch(served, str(mnist_folder))
    assert "is not the official file" in caplog.text
    assert gzip.decompress(path.read_bytes()) == b"something else"


def test_a_wrong_download_leaves_nothing_behind(served, mnist_folder, cache):
    (mnist_folder / "mnist" / IMAGES).write_bytes(b"changed on the server")
    with pytest.raises(DataError) as caught:
        fetch.require(served)
    text = str(caught.value)
    assert "\n" not in text
    assert all(mirror + IMAGES in text for mirror in served.mirrors)
    assert list((cache / "mnist").iterdir()) == []


def test_offline(no_network, cache):
    problem = mnist_logreg(32, offline=True, device="cpu")
    with pytest.raises(DataError) as caught:
        problem.set_up()
    text = str(caught.value)
    assert "\n" not in text
    assert f"{IMAGES}, " in text
    assert f"missing in {cache / 'mnist'} (offline)" in text
    assert "`alig-deepobs data fetch mnist`" in text
    with pytest.raises(DataError, match=r"is missing in .*offline"):
        fetch.fetch(MNIST, offline=True)
    assert not cache.exists()


def test_data_dir_is_the_only_place_and_never_filled(no_network, tmp_path, mnist_folder):
    with pytest.raises(DataError, match=r"missing in .*empty/mnist or .*empty;"):
        fetch.require(MNIST, str(tmp_path / "empty"))
    assert not (tmp_path / "empty").exists()
    inside = fetch.require(MNIST, str(mnist_folder))
    assert fetch.require(MNIST, str(mnist_folder / "mnist")) == inside


def test_states(official, mnist_folder):
    folder = str(mnist_folder)
    file, path = official.files[0], mnist_folder / "mnist" / IMAGES
    raw = path.read_bytes()
    contents = {
        FileState.OK: raw,
        FileState.OK_CONTENT: gzip.compress(gzip.decompress(raw), 1, mtime=1),
        FileState.UNVERIFIED: gzip.compress(b"x"),
        FileState.CORRUPT: raw[:-1],
    }
    for state, content in contents.items():
        path.write_bytes(content)
        assert fetch.check_file(official, file, folder) == (path, state)
    path.unlink()
    assert fetch.check_file(official, file, folder) == (None, FileState.MISSING)


def test_the_default_cache_is_the_users(monkeypatch):
    monkeypatch.delenv(fetch.CACHE_VARIABLE)
    assert fetch.cache_dir().name == "alig-deepobs"


def test_unknown_data_set():
    with pytest.raises(UsageError, match="did you mean mnist"):
        find_source("mnits")


def test_what_a_killed_download_left_is_cleared_by_the_next(tmp_path, monkeypatch):
    """Pooch's temporary files have names of its own making; a lock tells that nobody writes one."""
    import pooch

    (tmp_path / "tmpabcd1234").write_bytes(b"half")
    (tmp_path / "data.bin").write_bytes(b"mine")
    seen = []

    def retrieve(url, known_hash, name, folder, downloader):
        seen.extend(sorted(path.name for path in folder.iterdir()))
        return str(folder / name)

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    fetch.download(MNIST, MNIST.files[0], tmp_path)
    assert seen == [".download.lock", "data.bin"]


class TestOtherFolders:
    """What other programs have left on the disk."""

    @pytest.mark.parametrize("layout", ["MNIST/raw", "mnist"])
    @pytest.mark.parametrize("unpacked", [False, True])
    def test_files_of_torchvision(self, layout, unpacked, official, mnist_folder, tmp_path):
        root = tmp_path / "root" / layout
        root.mkdir(parents=True)
        for file in official.files:
            raw = (mnist_folder / "mnist" / file.name).read_bytes()
            name = file.name.removesuffix(".gz") if unpacked else file.name
            (root / name).write_bytes(gzip.decompress(raw) if unpacked else raw)
        source = dataclasses.replace(official, folders=MNIST.folders)
        states = [fetch.check_file(source, file, str(root.parents[1] if "/" in layout else root))
                  for file in source.files]  # fmt: skip
        wanted = FileState.OK_CONTENT if unpacked else FileState.OK
        assert {state for _, state in states} == {wanted}
        assert len(mnist_logreg(10, data_dir=str(tmp_path / "root")).load_data().parts["test"][0])

    @pytest.fixture
    def shared(self, mnist_folder, monkeypatch):
        monkeypatch.setattr(fetch, "SHARED_FOLDERS", (mnist_folder,))
        return mnist_folder / "mnist"

    def test_official_files_in_a_shared_folder_count(self, official, shared):
        assert fetch.require(official, offline=True) == [shared / f.name for f in official.files]

    def test_others_are_refused_by_name(self, official, shared, caplog):
        (shared / IMAGES).write_bytes(gzip.compress(b"junk"))
        with pytest.raises(DataError, match=f"{IMAGES} missing"):
            fetch.require(official, offline=True)
        assert f"{shared / IMAGES} is left alone: it is unverified" in caplog.text
        # Whoever names the folder takes what is in it.
        assert fetch.require(official, str(shared.parent), offline=True)

    def test_pickles_are_refused_with_the_reason(self, tmp_path):
        (tmp_path / "cifar-10-batches-py").mkdir()
        with pytest.raises(DataError, match="cifar-10-batches-py there holds pickles"):
            fetch.require(find_source("cifar10"), str(tmp_path))
