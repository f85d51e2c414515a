"""Photos to batches. The evaluation view is the device's own preprocessing, to the last pixel."""

from collections.abc import Iterator

import lightning as L
import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Sampler
from torch.utils.data import Dataset as TorchDataset

from ..runtime.preprocess import Preprocess, read_image
from .augment import Augment
from .layouts import Dataset, Photo, split_by_class

Sample = tuple[Tensor, int]
"""One image, uint8 ``[3, H, W]``, and its class number."""

Batch = tuple[Tensor, Tensor]
"""Images, uint8 ``[N, 3, H, W]``, and class numbers, int64 ``[N]``."""


class BirdData(L.LightningDataModule):
    """Training, validation (cut by class from the training part) and test batches.

    Args:
        dataset: the photos.
        preprocess: how the device sees them.
        augment: how training does.
        batch_size: photos a batch.
        workers: processes that read photos; 0 reads them in this one.
        val_fraction: share of each class's training photos that is held out.
        box_margin: as in `read_photo`.
        split_seed: which photos are held out.
        seed: of the order of the training photos, and of their views.
        first_epoch: number of the epoch that training goes on with; see `first_epoch_of`.
    """

    def __init__(
        self,
        dataset: Dataset,
        preprocess: Preprocess,
        augment: Augment,
        *,
        batch_size: int = 64,
        workers: int = 2,
        val_fraction: float = 0.1,
        box_margin: float = 0.1,
        split_seed: int = 0,
        seed: int = 0,
        first_epoch: int = 0,
    ) -> None:
        super().__init__()
        self.train_photos, self.val_photos = split_by_class(dataset.train, val_fraction, split_seed)
        self.test_photos = dataset.test
        self._preprocess = preprocess
        self._augment = augment
        self._batch_size = batch_size
        self._workers = workers
        self._box_margin = box_margin
        self._seed = seed
        self._first_epoch = first_epoch

    def train_dataloader(self) -> DataLoader[Sample]:
        """Shuffled random views; a last, smaller batch is left out of the epoch."""
        photos = self._random_views()
        order = SeededOrder(len(photos), self._seed)
        # Workers are sent the first batches' numbers before Lightning names a resumed run's epoch.
        order.set_epoch(self._first_epoch)
        return self._loader(photos, sampler=order, drop_last=len(photos) > self._batch_size)

    def val_dataloader(self) -> DataLoader[Sample]:
        """The validation photos as the device would see them."""
        return self._loader(self._as_on_device(self.val_photos))

    def test_dataloader(self) -> DataLoader[Sample]:
        """The test photos as the device would see them; for reporting only."""
        return self._loader(self._as_on_device(self.test_photos))

    def plain_train_dataloader(self) -> DataLoader[Sample]:
        """The training photos without augmentation, to measure statistics on."""
        return self._loader(self._as_on_device(self.train_photos))

    def views(self, count: int) -> Iterator[Batch]:
        """Views of every training photo: first as the device sees them, then random ones."""
        yield from self.plain_train_dataloader()
        photos = self._random_views()
        order = SeededOrder(len(photos), self._seed)
        for number in range(count - 1):
            order.set_epoch(number)
            yield from self._loader(photos, sampler=order)

    def _random_views(self) -> "TrainingViews":
        view = self._augment.view(self._preprocess.input_size)
        return TrainingViews(self.train_photos, view, self._box_margin)

    def _as_on_device(self, photos: tuple[Photo, ...]) -> "DeviceViews":
        return DeviceViews(photos, self._preprocess, self._box_margin)

    def _loader(
        self,
        photos: TorchDataset[Sample],
        sampler: "SeededOrder | None" = None,
        drop_last: bool = False,
    ) -> DataLoader[Sample]:
        return DataLoader(
            photos,
            batch_size=self._batch_size,
            sampler=sampler,
            num_workers=self._workers,
            persistent_workers=self._workers > 0,
            prefetch_factor=4 if self._workers else None,
            pin_memory=torch.cuda.is_available(),
            drop_last=drop_last,
        )


class SeededOrder(Sampler[tuple[int, int]]):
    """A shuffle that depends on seed and epoch alone, with a seed for each view.

    Neither the number of workers nor an interruption can change what an epoch shows: Lightning
    calls ``set_epoch`` before each one, which `BirdData` does for the first.
    """

    def __init__(self, count: int, seed: int) -> None:
        self._count = count
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of this epoch."""
        self._epoch = epoch

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[tuple[int, int]]:
        chooser = np.random.default_rng((self._seed, self._epoch))
        order = chooser.permutation(self._count).tolist()
        seeds = chooser.integers(2**63, size=self._count).tolist()
        return zip(order, seeds, strict=True)


class TrainingViews(TorchDataset[Sample]):
    """Random views of photos, asked for by (photo number, seed)."""

    def __init__(self, photos: tuple[Photo, ...], view: torch.nn.Module, box_margin: float) -> None:
        self._photos = photos
        self._view = view
        self._box_margin = box_margin

    def __len__(self) -> int:
        return len(self._photos)

    def __getitem__(self, item: tuple[int, int]) -> Sample:
        index, seed = item
        photo = self._photos[index]
        pixels = np.array(read_photo(photo, self._box_margin))
        image = torch.from_numpy(pixels).permute(2, 0, 1)
        with torch.random.fork_rng(devices=[]):
            # A view uses no other; torch.manual_seed would note for each photo who asked to seed
            # the accelerators, too.
            torch.default_generator.manual_seed(seed)
            return self._view(image), photo.label


class DeviceViews(TorchDataset[Sample]):
    """Photos through the device's own preprocessing."""

    def __init__(
        self, photos: tuple[Photo, ...], preprocess: Preprocess, box_margin: float
    ) -> None:
        self._photos = photos
        self._preprocess = preprocess
        self._box_margin = box_margin

    def __len__(self) -> int:
        return len(self._photos)

    def __getitem__(self, index: int) -> Sample:
        photo = self._photos[index]
        pixels = self._preprocess.fit(read_photo(photo, self._box_margin))
        return torch.from_numpy(pixels.copy()).permute(2, 0, 1), photo.label


def read_photo(photo: Photo, box_margin: float) -> Image.Image:
    """Decode a photo and, where its box is known, crop to the bird, upright.

    Args:
        photo: what to read.
        box_margin: how much is added on each side, as a share of the box's longer side.

    Raises:
        ImageError: the picture cannot be read.
    """
    if photo.box is None:
        return read_image(photo.path)
    left, top, width, height = photo.box
    margin = box_margin * max(width, height)
    around = (left - margin, top - margin, left + width + margin, top + height + margin)
    return read_image(photo.path, around)
