"""ALI-G in the hands of real training packages; a part is skipped where its package is missing."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from alig_deepobs import AliG, LossMeter, attach_loss
from alig_deepobs.errors import UsageError

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
STEPS, PARTS = 12, 4


def data() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(STEPS * PARTS * 4, 6, generator=generator)
    return inputs, (inputs @ torch.randn(6, 3, generator=generator)).argmax(1)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 3))


def loader(batch_size: int = 4) -> Any:
    dataset = torch.utils.data.TensorDataset(*data())
    return torch.utils.data.DataLoader(dataset, batch_size=batch_size, shuffle=False)


def optimizer_of(model: nn.Module, **options: Any) -> AliG:
    return AliG(model.parameters(), max_lr=1.0, momentum=0.5, **options)


def plain_loop(batch_size: int = 4, **options: Any) -> Tensor:
    """What every package has to reach."""
    model = network()
    optimizer = optimizer_of(model, **options)
    for inputs, targets in loader(batch_size):
        loss = nn.functional.cross_entropy(model(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step(loss=loss)
    return weights(model)


def weights(model: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def close(model: nn.Module, expected: Tensor) -> None:
    torch.testing.assert_close(weights(model), expected, rtol=1e-4, atol=1e-5)


# --- Lightning -----------------------------------------------------------------------------------


@pytest.fixture
def lightning():
    return pytest.importorskip("lightning.pytorch")


def lit(lightning: Any, step: Any = None, manual: bool = False) -> Any:
    class Lit(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = network()
            self.automatic_optimization = not manual

        def training_step(self, batch, index):
            loss = nn.functional.cross_entropy(self.net(batch[0]), batch[1])
            return loss if step is None else step(self, loss, index)

        def configure_optimizers(self):
            return optimizer_of(self.net)

    return Lit()


def fit(lightning: Any, model: Any, tmp_path: Any, batch_size: int = 4, **options: Any) -> Any:
    trainer = lightning.Trainer(
        max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, default_root_dir=tmp_path, **options,
    )  # fmt: skip
    trainer.fit(model, loader(batch_size))
    return model.net


def test_lightning_automatic(lightning, tmp_path):
    close(fit(lightning, lit(lightning), tmp_path), plain_loop())


def test_lightning_manual(lightning, tmp_path):
    def step(module, loss, index):
        optimizer = module.optimizers()
        optimizer.zero_grad()
        module.manual_backward(loss)
        optimizer.step(loss=loss)

    close(fit(lightning, lit(lightning, step, manual=True), tmp_path), plain_loop())


def test_lightning_accumulation_is_the_plain_loop(lightning, tmp_path):
    """Without the callback the step size is that of the last micro-batch divided by 4."""
    from alig_deepobs.optimizers.lightning import AccumulatedLoss

    whole = plain_loop(4 * PARTS)
    options = {"accumulate_grad_batches": PARTS}
    net = fit(lightning, lit(lightning), tmp_path, callbacks=[AccumulatedLoss()], **options)
    close(net, whole)
    without = fit(lightning, lit(lightning), tmp_path, **options)
    assert not torch.allclose(weights(without), whole, rtol=1e-2, atol=1e-2)


def test_lightning_callback_alone_changes_nothing(lightning, tmp_path):
    from alig_deepobs.optimizers.lightning import AccumulatedLoss

    close(fit(lightning, lit(lightning), tmp_path, callbacks=[AccumulatedLoss()]), plain_loop())


def test_lightning_clipping_is_refused_with_the_callback(lightning, tmp_path):
    from alig_deepobs.optimizers.lightning import AccumulatedLoss

    with pytest.raises(UsageError, match=r"gradient_clip_val=1\.0 would give AliG a wrong step"):
        fit(
            lightning, lit(lightning), tmp_path, callbacks=[AccumulatedLoss()],
            gradient_clip_val=1.0,
        )  # fmt: skip


@pytest.mark.parametrize("with_callback", [False, True])
def test_lightning_skips_a_batch(lightning, tmp_path, with_callback):
    from alig_deepobs.optimizers.lightning import AccumulatedLoss

    model = network()
    optimizer = optimizer_of(model)
    for index, (inputs, targets) in enumerate(loader()):
        if index % 3:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(inputs), targets)
            loss.backward()
            optimizer.step(loss=loss)
    skipping = lit(lightning, lambda module, loss, index: loss if index % 3 else None)
    callbacks = [AccumulatedLoss()] if with_callback else []
    net = fit(lightning, skipping, tmp_path, callbacks=callbacks)
    close(net, weights(model))


# --- Accelerate ----------------------------------------------------------------------------------


def test_accelerate_accumulation():
    accelerate = pytest.importorskip("accelerate")
    accelerator = accelerate.Accelerator(cpu=True, gradient_accumulation_steps=PARTS)
    model = network()
    raw = optimizer_of(model)
    model, optimizer, batches = accelerator.prepare(model, raw, loader())
    meter = LossMeter()
    attach_loss(raw, meter)
    for inputs, targets in batches:
        with accelerator.accumulate(model):
            loss = nn.functional.cross_entropy(model(inputs), targets)
            meter.add(loss)
            accelerator.backward(loss)
            optimizer.step()
            optimizer.zero_grad()
    close(accelerator.unwrap_model(model), plain_loop(4 * PARTS))


def test_accelerate_takes_the_loss_where_the_closure_stands():
    accelerate = pytest.importorskip("accelerate")
    accelerator = accelerate.Accelerator(cpu=True)
    model = network()
    model, optimizer, batches = accelerator.prepare(model, optimizer_of(model), loader())
    for inputs, targets in batches:
        loss = nn.functional.cross_entropy(model(inputs), targets)
        optimizer.zero_grad()
        accelerator.backward(loss)
        optimizer.step(loss)
    close(accelerator.unwrap_model(model), plain_loop())


# --- transformers --------------------------------------------------------------------------------


class Classifier(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = network()

    def forward(self, inputs: Tensor, labels: Tensor) -> dict[str, Tensor]:
        logits = self.net(inputs)
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


@pytest.mark.parametrize("max_grad_norm", [0.0, 0.01])
@pytest.mark.parametrize("parts", [1, PARTS])
def test_transformers_trainer(tmp_path, max_grad_norm, parts):
    """max_grad_norm=0 reaches the plain loop; the default, which clips, is noticed."""
    transformers = pytest.importorskip("transformers")
    model = Classifier()
    optimizer, meter = optimizer_of(model), LossMeter()
    attach_loss(optimizer, meter)

    class Trainer(transformers.Trainer):
        def compute_loss(self, model, inputs, return_outputs=False, **kwargs):
            loss = super().compute_loss(model, inputs, return_outputs=False)
            meter.add(loss)
            return loss

        def _get_train_sampler(self, *args):
            return torch.utils.data.SequentialSampler(self.train_dataset)

    inputs, targets = data()
    rows = [{"inputs": x, "labels": y} for x, y in zip(inputs, targets, strict=True)]
    arguments = transformers.TrainingArguments(
        output_dir=str(tmp_path), max_grad_norm=max_grad_norm, per_device_train_batch_size=4,
        gradient_accumulation_steps=parts, num_train_epochs=1 if max_grad_norm == 0 else 10,
        lr_scheduler_type="constant", report_to=[], save_strategy="no", use_cpu=True,
        disable_tqdm=True, remove_unused_columns=False, logging_strategy="no",
    )  # fmt: skip
    trainer = Trainer(model, arguments, train_dataset=rows, optimizers=(optimizer, None))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        trainer.train()
    said = [str(w.message) for w in caught if "max_grad_norm=0" in str(w.message)]
    if max_grad_norm:
        assert len(said) == 1
    else:
        assert not said
        close(model.net, plain_loop(4 * parts))


# --- skorch --------------------------------------------------------------------------------------


def test_skorch_passes_lr_and_a_closure():
    skorch = pytest.importorskip("skorch")
    inputs, targets = data()
    net = skorch.NeuralNetClassifier(
        network, criterion=nn.CrossEntropyLoss, optimizer=AliG, lr=1.0, optimizer__momentum=0.5,
        max_epochs=1, batch_size=4, train_split=None, iterator_train__shuffle=False, verbose=0,
    )  # fmt: skip
    net.fit(inputs, targets)
    close(net.module_, plain_loop())
