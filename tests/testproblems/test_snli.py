"""The Bi-LSTM of the ALI-G paper: size, start, pooling, and training on the twin."""

import math

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from alig_deepobs import registry, testproblems
from alig_deepobs.errors import DataError, UsageError
from alig_deepobs.run import Outcome, RunSpec
from alig_deepobs.runners import execute
from alig_deepobs.runners.resolve import resolve
from alig_deepobs.testproblems import snli_bilstm, snli_bilstm_svm
from alig_deepobs.testproblems.hinge import MultiClassHinge
from alig_deepobs.testproblems.models.bilstm import MaxPoolBiLSTM, NLINet, nli_net

SMALL = {"hidden_dim": 8, "fc_dim": 8, "embedding_dim": 12}


def make(problem_class=snli_bilstm, batch_size=16, **settings):
    settings = {"seed": 42, "device": "cpu", "synthetic": True} | SMALL | settings
    problem = problem_class(batch_size, **settings)
    problem.set_up()
    return problem


def sentences(batch=6, longest=7, dim=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(2, longest, (batch,), generator=generator)
    lengths[0] = longest
    words = torch.randn(batch, longest, dim, generator=generator)
    inside = torch.arange(longest) < lengths[:, None]
    return words * inside[:, :, None], lengths


def encoder(dim=5, hidden=4, mask_padding=False, seed=0):
    torch.manual_seed(seed)
    return MaxPoolBiLSTM(dim, hidden, mask_padding)


def packed_lstm(like):
    """PyTorch's bidirectional LSTM with the same weights."""
    lstm = nn.LSTM(like.forwards.input_size, like.forwards.hidden_size, bidirectional=True,
                   batch_first=True)  # fmt: skip
    with torch.no_grad():
        for suffix, source in (("", like.forwards), ("_reverse", like.backwards)):
            for name, value in source.named_parameters():
                getattr(lstm, name + suffix).copy_(value)
    return lstm


def pooled(lstm, words, lengths):
    """The paper's pooling: outputs of packed sentences, padded with zeros, maximum over time."""
    packed = pack_padded_sequence(words, lengths, batch_first=True, enforce_sorted=False)
    outputs, _ = pad_packed_sequence(lstm(packed)[0], batch_first=True)
    return outputs.max(dim=1)[0]


def test_pooling_is_that_of_packed_sentences_with_its_gradients():
    words, lengths = sentences()
    ours = encoder()
    theirs = packed_lstm(ours)
    found, expected = ours(words, lengths), pooled(theirs, words, lengths)
    torch.testing.assert_close(found, expected)
    weights = torch.randn(found.shape, generator=torch.Generator().manual_seed(1))
    (found * weights).sum().backward()
    (expected * weights).sum().backward()
    for suffix, source in (("", ours.forwards), ("_reverse", ours.backwards)):
        for name, value in source.named_parameters():
            torch.testing.assert_close(value.grad, getattr(theirs, name + suffix).grad)


def test_features_of_shorter_sentences_are_never_negative():
    words, lengths = sentences(batch=20)
    quirk, masked = encoder()(words, lengths), encoder(mask_padding=True)(words, lengths)
    # The true maximum: each sentence alone.
    alone = torch.cat([encoder()(words[i : i + 1, :n], lengths[i : i + 1])
                       for i, n in enumerate(lengths.tolist())])  # fmt: skip
    shorter = lengths < lengths.max()
    assert shorter.any()
    assert not shorter.all()
    torch.testing.assert_close(masked, alone)
    torch.testing.assert_close(quirk[shorter], alone[shorter].clamp(min=0))
    torch.testing.assert_close(quirk[~shorter], alone[~shorter])
    assert (alone[shorter] < 0).any()  # or it would show no difference


def test_what_stands_behind_the_end_plays_no_part():
    words, lengths = sentences()
    outside = torch.arange(words.shape[1]) >= lengths[:, None]
    rubbish = words.masked_fill(outside[:, :, None], 9.0)
    for mask_padding in (False, True):
        net = encoder(mask_padding=mask_padding)
        torch.testing.assert_close(net(rubbish, lengths), net(words, lengths))


def test_features_and_classifier():
    words, lengths = sentences()
    others, other_lengths = sentences(seed=1, longest=4)
    net = NLINet(5, hidden_dim=3, fc_dim=4)
    u, v = net.encoder(words, lengths), net.encoder(others, other_lengths)
    scores = torch.cat([u, v, (u - v).abs(), u * v], 1)
    for layer in net.classifier:
        scores = scores @ layer.weight.T + layer.bias
    torch.testing.assert_close(net(words, lengths, others, other_lengths), scores)


def test_full_size():
    with torch.device("meta"):
        net = NLINet(300)
    parts = [net.encoder, *net.classifier]
    counts = [sum(p.numel() for p in part.parameters()) for part in parts]
    assert counts == [38_502_400, 8_389_120, 262_656, 1_539]
    assert sum(counts) == 47_155_715


def test_norm_of_the_full_size_start():
    net = nli_net(lambda: NLINet(300), torch.Generator().manual_seed(0))
    norm = math.sqrt(sum(p.square().sum().item() for p in net.parameters()))
    assert norm == pytest.approx(81.3, abs=0.05)
    for lstm in (net.encoder.forwards, net.encoder.backwards):
        for parameter in lstm.parameters():
            bound = 2048**-0.5
            assert bound >= parameter.abs().max() > 0.99 * bound
    for layer in net.classifier:
        for parameter in layer.parameters():
            bound = layer.in_features**-0.5
            assert bound >= parameter.abs().max() > 0.5 * bound


@pytest.mark.parametrize(
    ("problem_class", "loss"), [(snli_bilstm, math.log(3)), (snli_bilstm_svm, 1.0)]
)
def test_loss_at_the_start(problem_class, loss):
    problem = make(problem_class)
    problem.test_init_op()
    assert problem.get_batch_loss_and_accuracy()[0].item() == pytest.approx(loss, abs=0.3)
    assert problem.get_regularization_loss() == 0.0


def test_losses_of_scores():
    scores = torch.tensor([[2.0, 0.5, -1.0], [0.2, 0.1, 0.0]])
    labels = torch.tensor([0, 1])
    batch = (None, None, None, None, labels)
    cross_entropy, svm = make(), make(snli_bilstm_svm)
    torch.testing.assert_close(
        cross_entropy.losses_of(scores, batch),
        nn.functional.cross_entropy(scores, labels, reduction="none"),
    )
    torch.testing.assert_close(svm.losses_of(scores, batch), torch.tensor([0.0, 1.1]))
    assert svm.loss_function is MultiClassHinge
    assert cross_entropy.correct_of(scores, batch).tolist() == [True, False]


def test_batches_follow_the_order():
    problem = make(batch_size=60)
    labels = problem.data.parts["train"][0]
    for epoch in (0, 1):
        order = problem.batch_order(epoch)
        batches = list(problem.batches("train", epoch))
        # 256 pairs: four full mini-batches, and the rest, which is kept as in the paper.
        assert [len(batch.labels) for batch in batches] == [60, 60, 60, 60, 16]
        assert problem.steps_per_epoch == 5
        for index, batch in zip(order, batches[:4], strict=True):
            assert batch.labels.tolist() == labels[index].tolist()
        seen = torch.cat([batch.labels for batch in batches])
        assert torch.bincount(seen).tolist() == torch.bincount(labels).tolist()
    assert problem.batch_order(0).tolist() != problem.batch_order(1).tolist()
    assert [len(batch.labels) for batch in problem.batches("test")] == [60, 4]
    assert sum(len(batch.labels) for batch in problem.batches("train_eval")) == 64


def test_the_validation_set_is_the_official_one():
    full, validation = make(split="full"), make()
    assert "valid" not in full.data.parts
    assert validation.data.size("valid") == 64
    assert validation.data.size("train") == full.data.size("train") == 256
    validation.valid_init_op()
    assert 0 <= validation.get_batch_loss_and_accuracy()[1] <= 1


def test_losses_are_functions_of_parameters_and_batch():
    """As runs that are computed at once need it."""
    problem = make()
    batch = next(problem.batches("train"))
    parameters = {k: p.detach() for k, p in problem.net.named_parameters()}

    def loss(parameters):
        outputs = torch.func.functional_call(problem.net, parameters, tuple(batch[:-1]))
        return problem.losses_of(outputs, batch).mean()

    gradients = torch.func.grad(loss)(parameters)
    problem.train_init_op()
    problem.get_batch_loss_and_accuracy()[0].backward()
    for name, parameter in problem.net.named_parameters():
        torch.testing.assert_close(gradients[name], parameter.grad)


@pytest.mark.parametrize("name", ["snli_bilstm", "snli_bilstm_svm"])
def test_alig_learns_the_twin(name):
    spec = RunSpec(
        name, "alig", batch_size=16, num_epochs=12, synthetic=True, device="cpu",
        problem_options={"hidden_dim": 16, "fc_dim": 16, "embedding_dim": 20},
    )  # fmt: skip
    result = execute(spec)
    assert result.outcome is Outcome.DONE
    # The paper's settings are the defaults.
    assert result.hyperparams["max_lr"] == 1.0
    assert result.hyperparams["momentum"] == 0.0
    assert result.hyperparams["max_norm"] is None
    assert result.test_accuracies[0] < 0.5
    assert result.test_accuracies[-1] > 0.75
    assert len(result.valid_accuracies) == 13
    assert result.data_label == "SNLI (synthetic twin)"
    assert result.problem_options == {"hidden_dim": 16, "fc_dim": 16, "embedding_dim": 20}


def test_entries():
    for name in ("snli_bilstm", "snli_bilstm_svm"):
        entry = registry.find_testproblem(name)
        assert entry.load() is getattr(testproblems, name)
        assert (entry.batch_size, entry.num_epochs, entry.weight_decay) == (64, 20, None)
        # The defaults of options stand in the entry and in the class.
        problem = entry.load()(8, device="cpu")
        for option, declared in entry.options.items():
            assert getattr(problem, option) == declared.default


@pytest.mark.parametrize("option", ["hidden_dim", "fc_dim", "embedding_dim"])
def test_sizes_must_be_positive(option):
    with pytest.raises(UsageError, match=f"snli_bilstm: {option} must be at least 1, not 0"):
        snli_bilstm(8, **{option: 0})


def test_mistakes_are_found_before_the_first_run(tmp_path):
    folder = tmp_path / "snli_mini_1.0"
    folder.mkdir()
    for part in ("train", "dev", "test"):
        (folder / f"snli_mini_1.0_{part}.jsonl").touch()

    def spec(**options):
        return RunSpec("snli_bilstm", "sgd", data_dir=str(tmp_path), problem_options=options)

    with pytest.raises(DataError, match=r"^SNLI: snli_1\.0\.zip missing.*--corpus snli_mini are"):
        resolve(spec())
    with pytest.raises(UsageError, match="corpus must be snli or snli_mini, not 'mnli'"):
        resolve(spec(corpus="mnli"))
    with pytest.raises(DataError, match=r"^word vectors 'glove\.840B\.300d': no such file"):
        resolve(spec(corpus="snli_mini"))
    (tmp_path / "glove.840B.300d.txt").touch()
    with pytest.raises(DataError, match=r"train\.jsonl: no pair with a gold label"):
        resolve(spec(corpus="snli_mini"))
