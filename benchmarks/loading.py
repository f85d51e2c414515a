"""Share of a training step spent waiting for photos.

python -m birdedge.benchmarks.loading DATA [--model mobilenetv2_100] [--steps 40]
"""

import time
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch.nn import functional as F

from ..runtime.preprocess import Preprocess
from ..train.augment import Augment
from ..train.data import BirdData
from ..train.layouts import read_dataset
from ..train.model import create_network


def main(
    data: Annotated[Path, typer.Argument(exists=True, file_okay=False)],
    model: str = "mobilenetv2_100",
    steps: Annotated[int, typer.Option(min=2)] = 40,
    batch_size: Annotated[int, typer.Option(min=1)] = 32,
    workers: Annotated[int, typer.Option(min=0)] = 1,
) -> None:
    """Run some training steps and print where their time went."""
    dataset = read_dataset(data)
    birds = BirdData(dataset, Preprocess(), Augment(), batch_size=batch_size, workers=workers)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = create_network(model, len(dataset.classes)).to(device)
    optimizer = torch.optim.AdamW(network.parameters())
    batches = iter(birds.train_dataloader())
    next(batches)  # the workers' start is not a step's wait
    waiting = working = 0.0
    for _ in range(steps):
        start = time.perf_counter()
        images, labels = (tensor.to(device) for tensor in next(batches))
        fetched = time.perf_counter()
        with torch.autocast(device, torch.bfloat16):
            loss = F.cross_entropy(network(images.float() / 127.5 - 1).float(), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()
        waiting += fetched - start
        working += time.perf_counter() - fetched
    share = waiting / (waiting + working)
    print(f"{batch_size * steps / (waiting + working):.0f} images/s, batch {batch_size}")
    print(f"waiting for photos: {share:.1%} of a step (at most 5 %)")


if __name__ == "__main__":
    typer.run(main)
