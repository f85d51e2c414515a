"""What a poll costs that finds nothing new, and one changed file."""

from typing import Annotated

import numpy as np
import typer

from ...runtime.bundle import ModelBundle
from ...runtime.default import DEFAULT_MODEL
from .keeper import keeper, tell_machine


def costs(
    megabytes: Annotated[float, typer.Option(min=4, help="The bundle's size.")] = 30.0,
) -> None:
    """Bytes and requests of a poll that finds nothing new, and of one changed file."""
    tell_machine()
    rng = np.random.default_rng(0)
    inside = sum(entry.bytes for entry in ModelBundle.load(DEFAULT_MODEL).manifest.files())
    share = int(megabytes * 1e6 - inside) // 4
    documents = [rng.bytes(share) for _ in range(4)]
    with keeper() as repository:
        device = repository.folder / "device"
        first = repository.bundle("first", documents)
        repository.publish(first)
        repository.sync(device)
        total = sum(entry.bytes for entry in first.manifest.files())
        print(f"bundle of {total / 1e6:.1f} MB in {len(first.manifest.files())} files")
        told = repository.sync(device)
        traffic = repository.web.traffic
        print(
            f"poll without news: {traffic.requests} requests (at most 2), {traffic.sent:,} bytes "
            f"from the server with its headers (at most 5,000), {traffic.received:,} to it; "
            f"birdedge counts {told['requests']} and {told['bytes_read']:,} without headers"
        )
        network = first.manifest.targets["onnx-int8"].files[0].name
        for name, file, content in (
            ("second", network, documents),
            ("third", "document-0.bin", [rng.bytes(share), *documents[1:]]),
        ):
            # The third has the second's network, so that its document alone is another one.
            bundle = repository.bundle(name, content, says="second")
            repository.publish(bundle)
            repository.sync(device)
            (size,) = (entry.bytes for entry in bundle.manifest.files() if entry.name == file)
            traffic = repository.web.traffic
            print(
                f"{file} of {size:,} bytes changed: {traffic.sent:,} bytes in {traffic.requests} "
                f"requests, {traffic.sent / size:.4f} x (at most 1.02)"
            )
