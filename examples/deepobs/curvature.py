"""A curvature tool's loop: the largest Hessian eigenvalue of each mini-batch."""

import alig_deepobs

alig_deepobs.register("pytorch")

import torch  # noqa: E402
from deepobs.pytorch import config, testproblems  # noqa: E402

config.set_default_device("cpu")
torch.manual_seed(42)
problem = testproblems.digits_logreg(batch_size=128)
problem.set_up()
problem.train_init_op()
parameters = list(problem.net.parameters())
while True:
    try:
        inputs, labels = problem._get_next_batch()
    except StopIteration:
        break
    loss = problem.loss_function(reduction="mean")(problem.net(inputs), labels)
    gradients = torch.autograd.grad(loss, parameters, create_graph=True)
    vector = [torch.randn_like(p) for p in parameters]
    for _ in range(5):
        norm = sum((v * v).sum() for v in vector).sqrt()
        vector = [v / norm for v in vector]
        product = torch.autograd.grad(gradients, parameters, vector, retain_graph=True)
        eigenvalue = sum((v * p).sum() for v, p in zip(vector, product, strict=True))
        vector = [p.detach() for p in product]
    print(f"batch {problem._batch_count}: {eigenvalue.item():.4f}")
    assert eigenvalue > 0
assert problem._batch_count == len(problem.data._train_dataloader)
