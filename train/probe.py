"""A linear probe first: fit the classifier on frozen features before anything else may move.

Fine-tuning under a random classifier sends large gradients into good features and distorts them.
Kumar et al., "Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution",
ICLR 2022 (arXiv:2202.10054), call this LP-FT.

Where the pretrained classifier knows the species, it was made from many more photos of them than
a probe has: the fit then stays near it instead of near nothing. Li et al., "Explicit Inductive
Bias for Transfer Learning with Convolutional Networks", ICML 2018 (arXiv:1802.01483), call this
L2-SP.
"""

from collections.abc import Iterable

import torch
from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveFloat
from torch import Tensor, nn
from torch.nn import functional as F

from .classifier import classifier_of


class Probe(BaseModel):
    """The group ``probe`` of the configuration.

    Attributes:
        views: of each photo, that the classifier is fitted on: the first is as the device sees it,
            the others are random ones. 0 leaves the classifier as it came.
        weight_decay: half of it times the squared weights is added to the mean loss; the weights
            are those of features scaled to unit variance, less what the classifier began with
            where that knew any of the species.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, title="probe")

    views: NonNegativeInt = 0
    weight_decay: PositiveFloat = 0.03


def fit_classifier(
    network: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    weight_decay: float = 0.03,
    *,
    knows_species: bool = False,
) -> float:
    """Replace a network's classifier by the best linear one on its features.

    Multinomial logistic regression, solved by L-BFGS over all photos at once.

    Args:
        network: a timm classifier; changed in place.
        batches: normalised images, float ``[N, 3, H, W]``, and class numbers ``[N]``.
        weight_decay: see `Probe`.
        knows_species: that the classifier is worth staying near.

    Returns:
        The share of these photos that the new classifier names right.

    Raises:
        CheckpointError: the network does not end in a single linear layer.
    """
    classifier = classifier_of(network)
    features, labels = pooled_features(network, batches)
    start = (classifier.weight.detach(), classifier.bias.detach()) if knows_species else None
    weight, bias = fit_linear(features, labels, classifier.out_features, weight_decay, start)
    with torch.no_grad():
        classifier.weight.copy_(weight)
        classifier.bias.copy_(bias)
        right = classifier(features).argmax(dim=1) == labels
    return float(right.float().mean())


def fit_linear(
    features: Tensor,
    labels: Tensor,
    classes: int,
    weight_decay: float = 0.03,
    start: tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """Multinomial logistic regression on features ``[photos, width]``, by L-BFGS.

    Args:
        features: of each photo.
        labels: class numbers ``[photos]``.
        classes: how many there are.
        weight_decay: see `Probe`.
        start: weights ``[classes, width]`` and bias ``[classes]`` to begin with and to stay near;
            zeros without them.

    Returns:
        Weights ``[classes, width]`` and bias ``[classes]``.
    """
    # On features of unit variance one weight decay suits every network.
    mean, std = features.mean(dim=0), features.std(dim=0).clamp(min=1e-6)
    scaled = (features - mean) / std
    if start is None:
        start = (torch.zeros(classes, features.shape[1]), torch.zeros(classes))
    origin, offset = start[0] * std, start[1] + start[0] @ mean
    weight, bias = origin.clone().requires_grad_(), offset.clone().requires_grad_()
    solver = torch.optim.LBFGS(
        [weight, bias], max_iter=300, tolerance_change=1e-7, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        solver.zero_grad()
        value = F.cross_entropy(scaled @ weight.T + bias, labels)
        value = value + weight_decay / 2 * (weight - origin).square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    solver.step(loss)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        return weight / std, bias - (weight / std) @ mean


@torch.no_grad()
def pooled_features(
    network: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]
) -> tuple[Tensor, Tensor]:
    """Pooled features ``[photos, width]`` and class numbers ``[photos]``."""
    was_training = network.training
    network.eval()
    features, labels = [], []
    try:
        for images, numbers in batches:
            maps = network.forward_features(images)  # type: ignore[operator]
            features.append(network.forward_head(maps, pre_logits=True))  # type: ignore[operator]
            labels.append(numbers)
    finally:
        network.train(was_training)
    return torch.cat(features), torch.cat(labels)
