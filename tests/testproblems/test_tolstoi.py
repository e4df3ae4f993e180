"""Tolstoi: tokenization, streams, the state, and the network against a slow LSTM."""

import math
import pickle

import numpy as np
import pytest
import torch

from alig_deepobs.errors import DataError
from alig_deepobs.testproblems import tolstoi_char_rnn
from alig_deepobs.testproblems.datasets import fetch
from alig_deepobs.testproblems.datasets.sources import TOLSTOI
from alig_deepobs.testproblems.datasets.tolstoi import tolstoi
from alig_deepobs.testproblems.datasets.tolstoi_files import tokenize
from alig_deepobs.testproblems.datasets.verify import FileState
from alig_deepobs.testproblems.models.char_rnn import CharRNN, char_rnn

LINES = 29 + 771 + 358 + 63_000
HINT = "get another"


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def make(batch_size=50, **settings):
    settings = {"seed": 42, "device": "cpu", "synthetic": True} | settings
    problem = tolstoi_char_rnn(batch_size, **settings)
    problem.set_up()
    return problem


def book(lines=LINES):
    """A text whose lines can be told apart, with more lines than DeepOBS deletes."""
    rng = np.random.default_rng(0)
    letters = np.array(list("etaoin shrdlu"))
    words = ["".join(x) for x in rng.choice(letters, (97, 5))]
    return "\n".join(f"{words[i % 97]}{i % 7}" for i in range(lines))


@pytest.fixture
def data_dir(tmp_path):
    (tmp_path / "tolstoi").mkdir()
    (tmp_path / "tolstoi" / "war-and-peace.txt").write_bytes(book(64_300).encode("utf-8-sig"))
    return tmp_path


def slow_tokenize(text):
    """DeepOBS's preparation: delete lines 1-29, 5-775, 63850-64207; count; sort; split."""
    lines = text.split("\n")
    lines = lines[29:]
    lines = lines[:4] + lines[775:]
    lines = lines[:63_849] + lines[64_207:]
    kept = "\n".join(lines)
    counts = {}
    for character in kept:  # a dict keeps the order of the first appearance, and sorted() is stable
        counts[character] = counts.get(character, 0) + 1
    ranked = sorted(counts, key=lambda character: -counts[character])
    ids = [ranked.index(character) for character in kept]
    size = math.ceil((1.0 - 0.2) * len(ids))
    return ids[:size], ids[size:]


def test_tokenization_against_a_loop():
    text = book(65_100) + "\nàä xyz éê zyx\n"  # z, y and x are equally frequent
    train, test = tokenize(text.encode(), "book", HINT)
    expected = slow_tokenize(text)
    assert train.dtype == np.int64
    assert train.tolist() == expected[0]
    assert test.tolist() == expected[1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"abc\xff", "byte 0xff at position 3 is not UTF-8"),
        ("a\nb\nn\u0430\n".encode(), "character '\u0430' in line 3"),
        (b"abc\n" * 500, "501 lines; the text is truncated, or another edition"),
        (bytes(range(32, 127)) * 9 + b"\n" * 70_000, "96 different characters"),
    ],
)
def test_bad_texts(content, message, tmp_path):
    if "different" in message:  # behind the lines that are deleted
        content = b"\n" * 70_000 + bytes(range(32, 127))
    path = tmp_path / "war-and-peace.txt"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        tolstoi(data_dir=str(tmp_path))
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "`alig-deepobs data fetch tolstoi" in str(caught.value)


def test_text_and_arrays_are_the_same_data(data_dir, tmp_path):
    with pytest.raises(DataError, match="lines; the text is truncated"):
        tolstoi(data_dir=str(data_dir))
    path = data_dir / "tolstoi" / "war-and-peace.txt"
    path.write_bytes(book(65_400).encode("utf-8-sig"))
    data = tolstoi(data_dir=str(data_dir))
    assert data.label == "Tolstoi (unverified files)"
    assert data.source == "unverified"
    folder = tmp_path / "arrays"
    folder.mkdir()
    for name, ids in zip(("train", "test"), tokenize(path.read_bytes(), "", ""), strict=True):
        np.save(folder / f"{name}.npy", ids)
    other = tolstoi(data_dir=str(folder))
    assert other.version == data.version
    assert torch.equal(other.parts["test"][0], data.parts["test"][0])
    file = TOLSTOI.files[0]
    assert fetch.check_file(TOLSTOI, file, str(data_dir)) == (path, FileState.UNVERIFIED)
    assert fetch.check_file(TOLSTOI, file, str(folder)) == (folder, FileState.UNVERIFIED)
    path.write_bytes(b"\xff")
    assert fetch.check_file(TOLSTOI, file, str(data_dir)) == (path, FileState.CORRUPT)


def save_objects(path):
    np.save(path, np.array([{}], dtype=object), allow_pickle=True)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-8]), "truncated or no .npy file"),
        (lambda path: path.write_bytes(b"junk"), "no .npy file"),
        (lambda path: path.write_bytes(pickle.dumps([1])), "no .npy file"),
        (save_objects, "no .npy file"),
        (lambda path: np.save(path, np.zeros(200)), "type float64"),
        (lambda path: np.save(path, np.zeros((20, 20), int)), "shape (20, 20)"),
        (lambda path: np.save(path, np.full(200, 83)), "numbers from 83 to 83; expected 0 to 82"),
        (lambda path: np.save(path, np.zeros(50, int)), "50 characters in the test text"),
    ],
)
def test_bad_arrays(tmp_path, spoil, message):
    for name in ("train.npy", "test.npy"):
        np.save(tmp_path / name, np.arange(500) % 83)
    tolstoi(data_dir=str(tmp_path))
    spoil(tmp_path / "test.npy")
    with pytest.raises(DataError) as caught:
        tolstoi(data_dir=str(tmp_path))
    assert message in str(caught.value)


@pytest.mark.parametrize("batch_size", [3, 50])
def test_streams_are_those_of_deepobs(tmp_path, batch_size):
    ids = np.random.default_rng(0).integers(0, 83, 50 * 50 * 7 + 60)
    for name in ("train.npy", "test.npy"):
        np.save(tmp_path / name, ids)
    problem = make(batch_size, synthetic=False, data_dir=str(tmp_path))
    # DeepOBS: cut the text into batch_size rows, and the rows into columns of 50.
    steps = (len(ids) - 1) // (batch_size * 50)
    used = steps * batch_size * 50
    rows = ids[:used].reshape(batch_size, -1), ids[1 : used + 1].reshape(batch_size, -1)
    for phase in ("train", "train_eval", "test"):
        batches = list(problem.batches(phase))
        assert len(batches) == steps == problem.data.size("train") // batch_size
        for step, (x, y) in enumerate(batches):
            columns = slice(50 * step, 50 * (step + 1))
            assert np.array_equal(x, rows[0][:, columns])
            assert np.array_equal(y, rows[1][:, columns])
    assert torch.equal(problem.batch_order(0), problem.batch_order(1))
    assert torch.equal(problem.batch_order(0), problem.train_eval_order(0))


def test_the_end_of_the_text_is_held_out():
    full, problem = make(), make(split="validation")
    size = full.data.size("train")
    assert problem.data.size("valid") == size // 10
    assert torch.equal(
        torch.cat([problem.data.parts[part][0] for part in ("train", "valid")]),
        full.data.parts["train"][0],
    )


def slow_lstm(net, ids, state):
    """The network from TensorFlow's definition: one kernel per layer, gates i, j, f, o."""
    w = {name: p.detach().double().numpy() for name, p in net.named_parameters()}

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    state = state.double().numpy().copy()
    logits = np.empty((*ids.shape, 83))
    for t in range(ids.shape[1]):
        hidden = w["embedding"][ids[:, t]]
        for layer in range(2):
            kernels = [w[f"layers.{layer}.{name}_kernel"] for name in ("input", "recurrent")]
            i, f, j, o = np.split(np.concatenate(kernels, axis=1).T, 4, axis=1)
            kernel = np.concatenate((i, j, f, o), axis=1)
            bi, bf, bj, bo = np.split(w[f"layers.{layer}.bias"], 4)
            bias = np.concatenate((bi, bj, bf, bo))
            h, c = state[layer]
            gates = np.concatenate((hidden, h), axis=1) @ kernel + bias
            i, j, f, o = np.split(gates, 4, axis=1)
            c = sigmoid(f + 1.0) * c + sigmoid(i) * np.tanh(j)
            h = sigmoid(o) * np.tanh(c)
            state[layer] = h, c
            hidden = h
        logits[:, t] = hidden @ w["dense.weight"].T + w["dense.bias"]
    return logits, state


def test_network_against_a_slow_lstm():
    net = char_rnn(83, generator()).eval()
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.1 * torch.randn(p.shape, generator=generator(1)))
    ids = torch.randint(0, 83, (3, 7), generator=generator(2))
    state = torch.randn(2, 2, 3, 128, generator=generator(3))
    logits, after = net(ids, state)
    expected = slow_lstm(net, ids.numpy(), state)
    assert np.allclose(logits.detach(), expected[0], atol=1e-4)
    assert np.allclose(after.detach(), expected[1], atol=1e-4)


def test_start_of_the_network():
    net = char_rnn(83, generator())
    assert sum(p.numel() for p in net.parameters()) == 284_499
    limits = {
        "embedding": 6 / (83 + 128),
        "layers.0.input_kernel": 6 / (256 + 512),
        "layers.1.recurrent_kernel": 6 / (256 + 512),
        "dense.weight": 6 / (83 + 128),
        "dense.bias": 6 / (83 + 83),
    }
    for name, p in net.named_parameters():
        if name in limits:
            limit = math.sqrt(limits[name])
            assert 0.9 * limit < p.abs().max() <= limit
        elif name.endswith("bias"):
            assert (p == 0).all()
    expected = torch.zeros(512)
    expected[128:256] = 1.0
    for layer in net.layers:
        assert torch.equal(layer.forget_bias, expected)


def test_dropout_in_training_only():
    net = char_rnn(83, generator())
    ids, state = torch.zeros(2, 5, dtype=torch.long), net.zero_state(2)
    assert not torch.equal(net(ids, state)[0], net(ids, state)[0])
    net.eval()
    assert torch.equal(net(ids, state)[0], net(ids, state)[0])


def test_loss_and_accuracy_against_numpy():
    problem = make()
    problem.test_init_op()
    batch = next(problem.batches("test"))
    loss, accuracy = problem.get_batch_loss_and_accuracy("none")
    logits = slow_lstm(problem.net, batch[0].numpy(), problem.zero_state())[0]
    log_p = logits - np.log(np.exp(logits).sum(axis=2, keepdims=True))
    expected = -np.take_along_axis(log_p, batch[1].numpy()[..., None], axis=2)[..., 0]
    assert loss.shape == (50,)
    assert np.allclose(loss, expected.mean(axis=1), atol=1e-4)
    correct = logits.argmax(axis=2) == batch[1].numpy()
    assert accuracy.item() == pytest.approx(correct.mean(), abs=1e-6)
    assert loss.mean().item() == pytest.approx(4.44, abs=0.06)  # ln 83 = 4.419 and a little more


def test_the_state_goes_from_mini_batch_to_mini_batch():
    problem = make()
    problem.test_init_op()
    first, second, *_ = problem.batches("test")
    found = [problem.get_batch_loss_and_accuracy("none")[0] for _ in range(2)]
    x = torch.cat((first[0], second[0]), dim=1)
    y = torch.cat((first[1], second[1]), dim=1)
    logits, _ = problem.net(x, problem.zero_state())
    losses = torch.nn.functional.cross_entropy(logits.transpose(1, 2), y, reduction="none")
    assert torch.allclose(found[0], losses[:, :50].mean(1), atol=1e-5)
    assert torch.allclose(found[1], losses[:, 50:].mean(1), atol=1e-5)
    # Without the state the second mini-batch has another loss.
    alone = problem.losses_of(problem.forward(second), second)
    assert not torch.allclose(found[1], alone, atol=1e-5)


@pytest.mark.parametrize("phase", ["train", "train_eval", "valid", "test"])
def test_every_phase_starts_without_a_state(phase):
    problem = make(split="validation")
    problem.test_init_op()
    for _ in range(3):
        problem.get_batch_loss_and_accuracy()
    getattr(problem, f"{phase}_init_op")()
    problem.net.eval()
    found = problem.get_batch_loss_and_accuracy("none")[0]
    batch = next(problem.batches(phase))
    assert torch.allclose(found, problem.losses_of(problem.forward(batch), batch), atol=1e-6)


def test_a_mini_batch_can_be_evaluated_again():
    problem = make()
    problem.test_init_op()
    problem.get_batch_loss_and_accuracy()
    func = problem.get_batch_loss_and_accuracy_func("none")
    first, again = func()[0], func()[0]
    assert torch.equal(first, again)
    # And the graph of a training step does not reach into the one before.
    problem.train_init_op()
    for _ in range(2):
        problem.get_batch_loss_and_accuracy()[0].backward()
    assert not problem.carried.requires_grad


def test_learning():
    problem = make()
    optimizer = torch.optim.Adam(problem.net.parameters(), lr=0.005)
    problem.train_init_op()
    losses = []
    for _ in range(25):
        loss = problem.get_batch_loss_and_accuracy()[0]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]
    assert isinstance(problem.net, CharRNN)
