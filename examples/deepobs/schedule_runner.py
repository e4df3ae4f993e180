"""A runner of one's own: another schedule, its flag, and keys of its own in the result file."""

import alig_deepobs

alig_deepobs.register("pytorch")

import json  # noqa: E402
from pathlib import Path  # noqa: E402

import torch  # noqa: E402
from deepobs.pytorch.runners.runner import PTRunner  # noqa: E402


class WarmUpRunner(PTRunner):
    def _add_training_params_to_argparse(self, parser, args, training_params):
        if "warmup" in training_params:
            args["warmup"] = training_params["warmup"]
        else:
            parser.add_argument("--warmup", type=int, default=1)

    def training(self, tproblem, hyperparams, num_epochs, print_train_iter, train_log_interval,
                 tb_log, tb_log_dir, warmup):  # fmt: skip
        opt = self._optimizer_class(tproblem.net.parameters(), **hyperparams)
        rate = hyperparams["lr"]
        lists = [[] for _ in range(6)]
        minibatch, rates = [], []
        for epoch in range(num_epochs + 1):
            self.evaluate_all(epoch, num_epochs, tproblem, *lists)
            if epoch == num_epochs:
                break
            opt.param_groups[0]["lr"] = rate * min(1.0, (epoch + 1) / (warmup + 1))
            rates.append(opt.param_groups[0]["lr"])
            tproblem.train_init_op()
            while True:
                try:
                    opt.zero_grad()
                    loss, _ = tproblem.get_batch_loss_and_accuracy()
                    loss.backward()
                    opt.step()
                    minibatch.append(loss.item())
                except StopIteration:
                    break
        names = ("train_losses", "valid_losses", "test_losses",
                 "train_accuracies", "valid_accuracies", "test_accuracies")  # fmt: skip
        return {
            **dict(zip(names, lists, strict=True)),
            "minibatch_train_losses": minibatch,
            "rates": rates,
        }

    def _post_process_output(self, output, *arguments, **training_params):
        output = super()._post_process_output(output, *arguments, **training_params)
        output["note"] = "with warm-up"
        return output


if __name__ == "__main__":
    runner = WarmUpRunner(torch.optim.SGD, {"lr": {"type": float, "default": 0.1}})
    output = runner.run("digits_logreg", num_epochs=2, output_dir="results_warmup")
    assert output["rates"] == [0.05, 0.1]
    assert output["training_params"] == {"warmup": 1}
    (path,) = Path("results_warmup").rglob("*.json")
    written = json.loads(path.read_text())
    assert (written["rates"], written["note"]) == ([0.05, 0.1], "with warm-up")
    assert written["test_losses"] == output["test_losses"]
    exists, files = runner.run_exists("digits_logreg", num_epochs=2, output_dir="results_warmup")
    assert exists
    assert len(files) == 1
    print(f"written to {runner._run_directory}")
