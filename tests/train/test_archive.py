"""An archive that would fill memory or disk is refused before it does."""

import gzip
import io
import tarfile
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from birdedge.runtime.errors import DataError
from birdedge.train import archive
from birdedge.train.archive import members, open_archive

MIB = 1 << 20


def header(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


def names(path: Path) -> list[str]:
    with open_archive(path) as opened:
        return [member.name for member in members(opened, path)]


@pytest.fixture
def packed(tmp_path: Path) -> Callable[..., Path]:
    def pack(*parts: bytes) -> Path:
        path = tmp_path / "birds.tgz"
        with gzip.open(path, "wb", compresslevel=1) as file:
            file.writelines(parts)
        return path

    return pack


@pytest.fixture
def memory() -> Iterator[Callable[[], int]]:
    """The most bytes that were held at once."""
    tracemalloc.start()
    yield lambda: tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()


def test_members_come_in_order_and_can_be_extracted(tmp_path: Path) -> None:
    path = tmp_path / "birds.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT, pax_headers={"comment": "1f"}) as tar:
        for name, content in (("a.txt", b"robin" * 999), ("b" * 300, b""), ("ü.txt", b"wren")):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))

    with open_archive(path) as opened:
        for member in members(opened, path):
            if member.size:
                opened.extract(member, tmp_path, filter="data")

    assert names(path) == ["a.txt", "b" * 300, "ü.txt"]
    assert (tmp_path / "a.txt").read_bytes() == b"robin" * 999
    assert (tmp_path / "ü.txt").read_bytes() == b"wren"


@pytest.mark.parametrize(
    "kind",
    [
        tarfile.GNUTYPE_LONGNAME,
        tarfile.GNUTYPE_LONGLINK,
        tarfile.XHDTYPE,
        tarfile.XGLTYPE,
    ],
)
@pytest.mark.parametrize("before", [b"", header("a.txt")], ids=["first", "second"])
def test_a_header_that_would_fill_the_memory_is_not_read(
    packed: Callable[..., Path], memory: Callable[[], int], kind: bytes, before: bytes
) -> None:
    path = packed(before, header("long", 64 * MIB, kind), bytes(64 * MIB), header("b.txt"))
    tracemalloc.reset_peak()

    with pytest.raises(DataError, match=r"birds\.tgz is unsafe: more than 64 KiB are said"):
        names(path)

    assert memory() < 2 * MIB


def test_headers_in_an_endless_row_are_not_followed(packed: Callable[..., Path]) -> None:
    path = packed(header("long", 0, tarfile.GNUTYPE_LONGNAME) * 5000)

    with pytest.raises(DataError, match="more than 64 KiB are said"):
        names(path)


def test_a_map_of_holes_that_would_fill_the_memory_is_not_read(packed: Callable[..., Path]) -> None:
    records = b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n"
    holes = b"9999999\n" + b"1\n" * MIB
    path = packed(
        header("pax", len(records), tarfile.XHDTYPE),
        records.ljust(512, b"\0"),
        header("holes.jpg", len(holes)),
        holes,
    )

    with pytest.raises(DataError, match="more than 64 KiB are said"):
        names(path)


def test_many_long_names_are_not_kept(packed: Callable[..., Path]) -> None:
    path = packed(header("long", 2048, tarfile.GNUTYPE_LONGNAME), b"x" * 2048, header("a.txt"))

    with pytest.raises(DataError, match="unsafe: a name of 2048 letters"):
        names(path)


def test_keywords_that_each_member_would_get_a_copy_of_are_few(
    packed: Callable[..., Path],
) -> None:
    records = b"".join(b"10 %04d=y\n" % number for number in range(1000))
    path = packed(
        header("pax", len(records), tarfile.XGLTYPE),
        records.ljust(-(-len(records) // 512) * 512, b"\0"),
        header("a.txt"),
    )

    with pytest.raises(DataError, match=r"unsafe: too much is said of 'a\.txt'"):
        names(path)


@pytest.mark.parametrize("second", ["a.txt", "./a.txt"])
def test_a_file_that_comes_twice_is_refused(packed: Callable[..., Path], second: str) -> None:
    path = packed(header("a.txt", 512), bytes(512), header(second))

    with pytest.raises(DataError, match=r"is unsafe: '.*a\.txt' comes twice"):
        names(path)


def test_a_folder_may_come_twice_but_not_as_a_file(packed: Callable[..., Path]) -> None:
    folder = header("images", 0, tarfile.DIRTYPE)

    assert names(packed(folder, folder)) == ["images", "images"]
    for pair in ((folder, header("images")), (header("images"), folder)):
        with pytest.raises(DataError, match="comes twice"):
            names(packed(*pair))


def test_too_many_bytes_are_seen_before_they_are_decompressed(packed: Callable[..., Path]) -> None:
    # Were it to look at what follows, it would find the archive cut short.
    path = packed(header("a.txt", 512), bytes(512), header("b.txt", 5_000_000_000))

    with pytest.raises(DataError) as caught:
        names(path)

    assert str(caught.value) == (
        f"{path} is not CUB-200-2011: it unpacks to more than 5 GB or 50000 files; "
        "if you trust it, unpack it yourself and give the folder"
    )


def test_too_many_members_are_not_all_read(
    packed: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "_MOST_MEMBERS", 3)
    path = packed(*(header(f"{number}.txt") for number in range(4)), header("../outside"))

    with pytest.raises(DataError, match="unpacks to more than"):
        names(path)


def test_what_follows_the_last_member_is_bounded_too(
    packed: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "_MOST_BYTES", MIB)
    path = packed(header("a.txt"), bytes(4 * MIB))

    with pytest.raises(DataError, match="unpacks to more than"):
        names(path)


@pytest.mark.parametrize(
    "odd",
    [
        header("a.txt", -512),
        header("pax", 512, tarfile.XHDTYPE) + b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n",
        header("long", -512, tarfile.GNUTYPE_LONGNAME),
    ],
    ids=["negative", "no-holes", "negative-header"],
)
@pytest.mark.parametrize("before", [[header("first.txt")], []], ids=["second", "first"])
def test_a_made_up_header_is_no_traceback(
    packed: Callable[..., Path], odd: bytes, before: list[bytes]
) -> None:
    path = packed(*before, odd.ljust(1024, b"\0"), header("a.txt"), bytes(1024))

    with pytest.raises((DataError, tarfile.TarError)):
        names(path)
