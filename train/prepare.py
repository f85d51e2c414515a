"""`birdedge data prepare`: the official CUB-200-2011 archive, unpacked and checked."""

import errno
import hashlib
import lzma
import os
import shutil
import sys
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from PIL import Image

from ..runtime.errors import DataError, ImageError
from ..runtime.preprocess import read_image
from .archive import made_up_headers, members, open_archive
from .layouts import Dataset, Photo, read_dataset

FOLDER = "CUB_200_2011"

OFFICIAL_URL = "https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz"
OFFICIAL_MD5 = "97eceeb196236b17998738112f37df78"

_FETCH = f"fetch the archive with `dvc pull` or from {OFFICIAL_URL}"

# Annotation tools differ in whether the first pixel of a picture is 0 or 1.
_BOX_SLACK = 1.0


def prepare_cub(source: Path, out: Path) -> tuple[Path, int, int]:
    """Unpack the archive into ``out/CUB_200_2011``, or check a folder that is unpacked already.

    The folder appears whole or not at all: members are unpacked beside it and checked before it
    takes its name. A folder that is there already is checked again and left as it is.

    Args:
        source: the archive (any tar that holds the official tree), or the unpacked folder, which
            is checked where it lies.
        out: where to unpack; created when missing.

    Returns:
        The folder, how many photos it holds, and of how many classes.

    Raises:
        DataError: the source is missing, damaged, incomplete, unsafe or far too large, or does not
            fit the disk.
    """
    if source.is_dir():
        try:
            return _summary(source, check_cub(source))
        except DataError as error:
            raise DataError(
                f"{source} is not the whole of CUB-200-2011: {error}; "
                "give the archive, or a folder that is whole"
            ) from error
    if not source.is_file():
        raise DataError(f"no archive at {source}; {_FETCH}")
    target = out / FOLDER
    if target.is_dir():
        try:
            return _summary(target, check_cub(target))
        except DataError as error:
            raise DataError(
                f"{target} is there already but not whole: {error}; remove it and prepare again"
            ) from error
    with _plain_errors(source, out):
        root, size = _survey(source)
        _warn_unless_official(source)
        out.mkdir(parents=True, exist_ok=True)
        _need_space(out, size)
        with tempfile.TemporaryDirectory(prefix=f".{FOLDER}-", dir=out) as beside:
            unpacked = Path(beside) / FOLDER
            _unpack(source, root, unpacked)
            dataset = _check_unpacked(source, root, unpacked)
            # POSIX: over nothing, or over an empty folder that came meanwhile; never over data.
            unpacked.rename(target)
    return _summary(target, dataset)


def check_cub(folder: Path) -> Dataset:
    """Read the official layout and decode every photo that it lists.

    How far it has come is shown where a person is looking at the terminal.

    Raises:
        DataError: a list is missing or disagrees with another, a photo is missing, damaged, not a
            picture or outside the folder, or a bird's box is not inside its photo.
    """
    if not (folder / "images.txt").is_file():
        raise DataError(f"no images.txt in {folder}")
    dataset = read_dataset(folder)
    photos = dataset.train + dataset.test
    if not photos:
        raise DataError(f"{folder / 'images.txt'} lists no photos")
    with _progress("checking photos", len(photos)) as advance:
        for photo in photos:
            _check_photo(photo, folder / "images")
            advance()
    return dataset


def _check_unpacked(source: Path, root: PurePosixPath, unpacked: Path) -> Dataset:
    try:
        return check_cub(unpacked)
    except DataError as error:
        # Where it was unpacked is gone by the time that anyone reads this.
        why = str(error).replace(str(unpacked), str(root))
        raise DataError(f"{source} is not whole: {why}; {_FETCH}") from error


def _check_photo(photo: Photo, images: Path) -> None:
    inside = photo.path.is_relative_to(images) and ".." not in photo.path.parts
    if not inside:
        raise DataError(f"images.txt lists {photo.path}, which lies outside {images}")
    try:
        # As training will: a header says nothing of the pixels behind it.
        read_image(photo.path)
    except ImageError as error:
        raise DataError(f"images.txt lists {error}") from error
    # The lists count pixels as they are stored, whichever side of the camera was up.
    with Image.open(photo.path) as image:
        width, height = image.size
    if photo.box is not None and not _fits(photo.box, width, height):
        raise DataError(f"box {photo.box} is not inside {photo.path}, {width} x {height} pixels")


def _fits(box: tuple[float, float, float, float], width: int, height: int) -> bool:
    """Whether a box (left, top, width, height) has an area and lies inside; NaN never does."""
    left, top, across, down = box
    return (
        left >= 0
        and top >= 0
        and across > 0
        and down > 0
        and left + across <= width + _BOX_SLACK
        and top + down <= height + _BOX_SLACK
    )


def _summary(folder: Path, dataset: Dataset) -> tuple[Path, int, int]:
    return folder, len(dataset.train) + len(dataset.test), len(dataset.classes)


def _survey(source: Path) -> tuple[PurePosixPath, int]:
    """Read all names in an archive and refuse it before anything is written.

    Returns:
        The folder inside the archive that holds images.txt, and the bytes it unpacks to.
    """
    sizes: dict[PurePosixPath, int] = {}
    roots: list[PurePosixPath] = []
    with open_archive(source) as archive:
        for member in members(archive, source):
            name = PurePosixPath(member.name)
            sizes[name] = member.size
            if name.name == "images.txt" and member.isfile():
                roots.append(name.parent)
    if not roots:
        raise DataError(f"{source} holds no images.txt, so it is not CUB-200-2011; {_FETCH}")
    root = min(roots, key=lambda path: len(path.parts))
    return root, sum(size for name, size in sizes.items() if name.is_relative_to(root))


def _unpack(source: Path, root: PurePosixPath, folder: Path) -> None:
    """Write the members below ``root``; what lies beside it, as attributes.txt does, stays out."""
    folder.mkdir()
    with open_archive(source) as archive:
        for member in members(archive, source):
            name = PurePosixPath(member.name)
            if name.is_relative_to(root) and name != root:
                member = member.replace(name=name.relative_to(root).as_posix(), deep=False)
                try:
                    with made_up_headers():
                        archive.extract(member, folder, filter="data")
                except OSError as error:
                    # The folder that it was meant for will be gone.
                    error.filename = str(name)
                    raise


def _warn_unless_official(source: Path) -> None:
    with source.open("rb") as file:
        found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if found != OFFICIAL_MD5:
        sys.stderr.write(
            f"birdedge: {source.name} is not the official archive, byte for byte (MD5 {found}, "
            f"official {OFFICIAL_MD5}); going by its contents\n"
        )


def _need_space(out: Path, size: int) -> None:
    free = shutil.disk_usage(out).free
    if size > free:
        raise DataError(f"unpacking needs {size / 1e9:.1f} GB, {out} has {free / 1e9:.1f} GB free")


@contextmanager
def _plain_errors(source: Path, out: Path) -> Iterator[None]:
    """Turn what tar, its compressions and the system raise into one sentence."""
    try:
        yield
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError) as error:
        # tarfile lists what each compression had to say on lines of their own.
        why = str(error).partition("\n")[0].rstrip(":")
        raise DataError(f"{source} is not a whole tar archive ({why}); {_FETCH}") from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DataError(f"the disk under {out} is full; nothing was left there") from error
        if error.errno is None:  # gzip and bzip2 raise bare OSErrors for damaged data
            raise DataError(f"{source} is not a whole tar archive ({error}); {_FETCH}") from error
        where = os.fsdecode(error.filename) if error.filename else str(out)
        raise DataError(
            f"cannot unpack {source} to {out}: {where}: {error.strerror}; "
            f"give another folder with --out, or {_FETCH}"
        ) from error


@contextmanager
def _progress(doing: str, total: int) -> Iterator[Callable[[], None]]:
    """Show how far it has come, where a person is looking at the terminal."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import Progress

    # Of its own accord it would send what is printed to the terminal, even where it goes to a file.
    console = Console(stderr=True)
    with Progress(console=console, transient=True, redirect_stdout=False) as bar:
        task = bar.add_task(doing, total=total)
        yield lambda: bar.advance(task)
