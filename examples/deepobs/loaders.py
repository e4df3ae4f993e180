"""The loaders of a problem, used without it, and loaders that are replaced."""

import alig_deepobs

alig_deepobs.register("pytorch")

import torch  # noqa: E402
from deepobs.pytorch.testproblems import digits_mlp  # noqa: E402
from torch.utils.data import DataLoader, TensorDataset  # noqa: E402

problem = digits_mlp(100)
problem.set_up()
for phase in ("train", "train_eval", "valid", "test"):
    loader = getattr(problem.data, f"_{phase}_dataloader")
    batches = list(loader)
    assert isinstance(loader, DataLoader)
    assert len(loader) == len(batches)
    assert all(len(labels) == 100 for _, labels in batches)
image, label = problem.data._test_dataloader.dataset[0]
assert image.shape == (1, 8, 8)
assert len(problem.data._train_dataloader.sampler) == 1445 - 256
problem.data._test_dataloader = DataLoader(
    TensorDataset(torch.zeros(10, 1, 8, 8), torch.zeros(10, dtype=torch.long)), batch_size=5
)
problem.test_init_op()
sizes = []
while True:
    try:
        sizes.append(len(problem._get_next_batch()[1]))
    except StopIteration:
        break
assert sizes == [5, 5]
