"""ALI-G in a training loop of one's own, on scikit-learn's handwritten digits.

python examples/own_training_loop.py
"""

import torch
from sklearn.datasets import load_digits

from alig_deepobs import AliG

torch.manual_seed(0)
digits = load_digits()
order = torch.randperm(len(digits.target))
images = torch.tensor(digits.data, dtype=torch.float32)[order] / 16
labels = torch.tensor(digits.target)[order]
train, test = slice(0, 1445), slice(1445, None)

model = torch.nn.Sequential(torch.nn.Linear(64, 100), torch.nn.ReLU(), torch.nn.Linear(100, 10))
optimizer = AliG(model.parameters(), max_lr=0.1, momentum=0.9)

for epoch in range(10):
    step_sizes = []
    for batch in torch.randperm(1445).split(32):
        loss = torch.nn.functional.cross_entropy(model(images[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step(loss=loss)
        step_sizes.append(optimizer.step_size)
    with torch.no_grad():
        accuracy = (model(images[test]).argmax(1) == labels[test]).float().mean()
    mean = sum(step_sizes) / len(step_sizes)
    print(f"epoch {epoch + 1:2d}: test accuracy {accuracy:.2%}, mean step size {mean:.3f}")
