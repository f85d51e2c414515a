"""timm networks, weights from a hub or a file, and folded batch norm brought back to life."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import timm
import torch
from timm.models import group_parameters
from torch import Tensor, nn

from ..runtime.errors import BundleError, CheckpointError, first_line
from ..runtime.labels import Label, read_labels
from .checkpoint import CheckpointInfo, checkpoint_info, read_safetensors
from .classifier import classifier_names, rearranged, species_rows
from .narrow import narrow


def create_network(
    architecture: str, classes: int, *, pretrained: bool = False, **model_args: Any
) -> nn.Module:
    """Build a timm network for a number of classes.

    Args:
        architecture: any name of ``timm.list_models()``.
        classes: outputs of the classifier.
        pretrained: fetch timm's own weights from the model hub.
        model_args: passed on to ``timm.create_model``.

    Raises:
        CheckpointError: the architecture is unknown or does not take the arguments, it has no
            pretrained weights or they do not fit it, or the hub cannot be reached.
    """
    if not timm.is_model(architecture.partition(".")[0]):
        near = get_close_matches(architecture, timm.list_models(), n=3)
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        raise CheckpointError(f"timm knows no model {architecture!r}{hint}")
    try:
        network: nn.Module = timm.create_model(
            architecture, pretrained=pretrained, num_classes=classes, **model_args
        )
    # The hub's client raises its own, its transport's and the system's errors alike.
    except Exception as error:
        if not pretrained:
            raise CheckpointError(f"cannot build {architecture}: {error}") from error
        # What cannot be built without weights either is no fault of the hub's. Only now, as
        # building it before would draw the random numbers that the classifier starts from.
        create_network(architecture, classes, **model_args)
        # timm's words for weights that there are none of, and torch's for those that do not fit.
        if "pretrained weights exist" in str(error) or "loading state_dict" in str(error):
            why = str(error).partition("\n")[0].rstrip(":.")
            raise CheckpointError(
                f"cannot take pretrained weights for {architecture} ({why}); see whether "
                "model.args fits them, or start from nothing with model.pretrained=false"
            ) from error
        raise CheckpointError(
            f"cannot fetch pretrained weights of {architecture} from the model hub "
            f"({type(error).__name__}); take local ones with model.init_from=FILE.safetensors, "
            "or start from nothing with model.pretrained=false"
        ) from error
    return network


def check_input_size(network: nn.Module, size: tuple[int, int]) -> None:
    """See that a network can look at pictures of a size, by one without anything on it.

    Raises:
        CheckpointError: it cannot.
    """
    was_training = network.training
    network.eval()
    try:
        with torch.no_grad():
            network(torch.zeros(1, 3, *size))
    # timm asserts, and PyTorch's layers have errors of several kinds.
    except Exception as error:
        raise CheckpointError(
            f"this network cannot look at pictures of {size[0]}x{size[1]} pixels "
            f"({first_line(error)}); set preprocess.input_size to what it was made for, or, where "
            "its architecture takes an img_size, model.args.img_size to this"
        ) from error
    finally:
        network.train(was_training)


def network_of(info: CheckpointInfo, weights: Mapping[str, Tensor]) -> nn.Module:
    """A checkpoint's network, whether it was pruned or not, in evaluation mode.

    Raises:
        CheckpointError: the weights are not those of the architecture.
    """
    network = create_network(info.architecture, len(info.labels), **info.model_args)
    if info.pruning:
        narrow(network, weights)
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise CheckpointError(
            f"the checkpoint's weights are not those of a {info.architecture} for "
            f"{len(info.labels)} classes"
        ) from error
    return network.eval()


def load_weights(
    network: nn.Module,
    path: Path,
    labels: Sequence[Label] = (),
    file_labels: Path | None = None,
) -> int:
    """Load a safetensors file into a network; of its classifier, the species that both tell apart.

    Args:
        network: changed in place; from a pruned checkpoint it takes the shapes too.
        path: of the file.
        labels: what the network is to tell apart, in order. Without them, and from files that do
            not say what they tell apart, a classifier of the same size is loaded as it is, and
            another is not.
        file_labels: a file that says it, of weights that are not birdedge's; see `read_labels`.

    Returns:
        How many of the labels the classifier knows now, as far as the file says.

    Raises:
        CheckpointError: tensors are missing, or have other shapes than the network's, or the labels
            are not those of the file.
    """
    weights, metadata = read_safetensors(path)
    info = checkpoint_info(path, metadata)
    if info is not None and info.pruning:
        narrow(network, weights)
    wanted = network.state_dict()
    heads = tuple(f"{name}." for name in classifier_names(network))
    layer = {name: weights.pop(name) for name in list(weights) if name.startswith(heads)}
    told = _told_apart(path, info, file_labels, layer)
    rows = species_rows(told, labels)
    known = len(rows) - rows.count(None)
    if file_labels is not None and not known:
        raise CheckpointError(
            f"{file_labels} has none of the {len(labels)} species, such as {labels[0]}; it wants a "
            '"Scientific name (Common name)" a line'
        )
    if labels and told and rows != list(range(len(told))):
        layer = rearranged(layer, rows) if known else {}
    weights |= {
        name: tensor
        for name, tensor in layer.items()
        if name not in wanted or tensor.shape == wanted[name].shape
    }
    unfit = [
        name for name in weights if name in wanted and weights[name].shape != wanted[name].shape
    ]
    missing = [name for name in wanted if name not in weights and not name.startswith(heads)]
    # Files with batch norm folded away need not carry how many batches it once saw.
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    strange = [name for name in weights if name not in wanted]
    if unfit or missing or strange:
        example = (unfit + missing + strange)[0]
        raise CheckpointError(
            f"{path} does not fit this architecture: {len(unfit)} tensors of another shape, "
            f"{len(missing)} missing, {len(strange)} unknown (such as {example})"
        )
    network.load_state_dict(weights, strict=False)
    return known if layer else 0


def _told_apart(
    path: Path, info: CheckpointInfo | None, file: Path | None, layer: Mapping[str, Tensor]
) -> Sequence[Label]:
    """What the rows of a file's classifier stand for; nothing if nobody says."""
    if file is None:
        labels: Sequence[Label] = () if info is None else info.labels
    elif info is not None:
        raise CheckpointError(f"{path} says itself what it tells apart: model.init_labels=null")
    elif not layer:
        raise CheckpointError(f"{path} has no classifier for {file}: model.init_labels=null")
    else:
        try:
            labels = read_labels(file)
        except BundleError as error:
            raise CheckpointError(str(error)) from error
    for name, tensor in layer.items():
        if labels and len(tensor) != len(labels):
            raise CheckpointError(
                f"{file or path} names {len(labels)} classes where {name} of {path} has "
                f"{len(tensor)} rows; each row wants its name, in the same order"
            )
    return labels


def batch_norms(network: nn.Module) -> list[nn.BatchNorm2d]:
    """Every 2-D batch norm of a network, in order."""
    return [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]


def freeze_groups(network: nn.Module, count: int) -> None:
    """Stop the first layer groups of a timm network from learning.

    Args:
        network: changed in place.
        count: of the groups that timm forms for layer-wise learning rates, coarsely: the stem, each
            stage, and last the classifier, which always learns.

    Raises:
        CheckpointError: there are not as many.
    """
    if count == 0:
        return
    groups = group_parameters(network, network.group_matcher(coarse=True))  # type: ignore[operator]
    if count >= len(groups):
        raise CheckpointError(
            f"this network has {len(groups) - 1} layer groups before its classifier; "
            f"optimizer.frozen_groups={count} cannot be frozen"
        )
    for number in sorted(groups)[:count]:
        for name in groups[number]:
            network.get_parameter(name).requires_grad_(False)


def has_folded_batch_norm(network: nn.Module) -> bool:
    """Whether every batch norm is an identity plus a bias, as in de-quantised weight files.

    In a network that has learnt nothing yet they are identities too, but without a bias.
    """
    norms = batch_norms(network)
    identities = all(
        bool((norm.weight == 1).all()) and bool((norm.running_mean == 0).all())
        for norm in norms
        if norm.running_mean is not None
    )
    return identities and any(bool((norm.bias != 0).any()) for norm in norms)


@torch.no_grad()
def restore_batch_norm(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Give folded batch norms the statistics of real data, keeping the network's function.

    A folded norm computes ``x + b``. With mean ``m`` and variance ``v`` of its input over the
    photos, the same function is ``sqrt(v + eps) * (x - m) / sqrt(v + eps) + (b + m)``, which can be
    trained on with batch norm in training mode.

    Args:
        network: changed in place.
        batches: normalised images, float ``[N, 3, H, W]``; each is seen once.
    """
    norms = batch_norms(network)
    sums = [torch.zeros(norm.num_features, dtype=torch.float64) for norm in norms]
    squares = [torch.zeros(norm.num_features, dtype=torch.float64) for norm in norms]
    counts = [0] * len(norms)

    def watch(index: int) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def hook(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            values = inputs[0].double()
            sums[index] += values.sum(dim=(0, 2, 3)).cpu()
            squares[index] += values.square().sum(dim=(0, 2, 3)).cpu()
            counts[index] += values.numel() // values.shape[1]

        return hook

    handles = [norm.register_forward_pre_hook(watch(index)) for index, norm in enumerate(norms)]
    was_training = network.training
    network.eval()
    try:
        for images in batches:
            network(images)
    finally:
        network.train(was_training)
        for handle in handles:
            handle.remove()
    for norm, total, square, count in zip(norms, sums, squares, counts, strict=True):
        _rescale(norm, total / count, square / count - (total / count).square())


def _rescale(norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor) -> None:
    """Set new statistics and the affine part that undoes them."""
    assert norm.running_mean is not None and norm.running_var is not None
    old_scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    old_shift = norm.bias.double() - norm.running_mean.double() * old_scale
    mean, variance = mean.to(old_scale), variance.clamp(min=0).to(old_scale)
    norm.weight.copy_(old_scale * (variance + norm.eps).sqrt())
    norm.bias.copy_(old_shift + mean * old_scale)
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
