"""The official archive, unpacked whole or not at all."""

import errno
import io
import shutil
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from terminals import watched

from birdedge.runtime.errors import DataError
from birdedge.train.layouts import read_dataset
from birdedge.train.prepare import prepare_cub

Pack = Callable[..., Path]


@pytest.fixture
def pack(cub: Path, tmp_path: Path) -> Pack:
    """Make an archive like the official one, with odd members in front if wanted."""

    def make(*odd: tarfile.TarInfo, mode: str = "w:gz") -> Path:
        archive = tmp_path / "CUB_200_2011.tgz"
        with tarfile.open(archive, mode) as tar:  # type: ignore[call-overload]
            for member in odd:
                tar.addfile(member, io.BytesIO(b"x" * member.size))
            # The official archive has this one list beside its folder.
            beside = tarfile.TarInfo("attributes.txt")
            tar.addfile(beside)
            tar.add(cub, "CUB_200_2011")
        return archive

    return make


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "data"


def left_behind(out: Path) -> list[str]:
    return [path.name for path in out.iterdir()] if out.exists() else []


@pytest.mark.parametrize("mode", ["w:gz", "w", "w:xz"])
def test_an_archive_becomes_a_folder_that_training_reads(pack: Pack, out: Path, mode: str) -> None:
    folder, photos, classes = prepare_cub(pack(mode=mode), out)

    assert (folder, photos, classes) == (out / "CUB_200_2011", 24, 3)
    assert left_behind(out) == ["CUB_200_2011"]
    assert len(read_dataset(folder).train) == 12


def test_an_archive_with_dotted_names_is_read_too(cub: Path, tmp_path: Path, out: Path) -> None:
    with tarfile.open(tmp_path / "dotted.tar", "w") as tar:
        tar.add(cub, "./CUB_200_2011")

    assert prepare_cub(tmp_path / "dotted.tar", out)[1] == 24


def test_an_archive_that_is_not_the_official_one_is_pointed_out(
    pack: Pack, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare_cub(pack(), out)

    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("birdedge: CUB_200_2011.tgz is not the official archive")
    assert "97eceeb196236b17998738112f37df78" in line


def test_a_second_run_checks_the_folder_again(pack: Pack, out: Path) -> None:
    archive = pack()
    first = prepare_cub(archive, out)

    assert prepare_cub(archive, out) == first
    next((out / "CUB_200_2011" / "images").rglob("*.jpg")).unlink()
    with pytest.raises(DataError, match=r"there already but not whole: .* remove it"):
        prepare_cub(archive, out)


def test_a_folder_is_checked_where_it_lies(cub: Path, out: Path) -> None:
    assert prepare_cub(cub, out) == (cub, 24, 3)
    assert not out.exists()


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize(
    "odd",
    [
        member("../escaped.txt"),
        member("CUB_200_2011/../../escaped.txt"),
        member("/tmp/escaped.txt"),
        member("CUB_200_2011/link", tarfile.SYMTYPE, "../../outside"),
        member("CUB_200_2011/link", tarfile.LNKTYPE, "/etc/hostname"),
        member("CUB_200_2011/device", tarfile.CHRTYPE),
        member("CUB_200_2011/pipe", tarfile.FIFOTYPE),
    ],
    ids=lambda info: f"{info.name}-{info.type.decode()}",
)
def test_an_unsafe_archive_is_refused_before_anything_is_written(
    pack: Pack, out: Path, tmp_path: Path, odd: tarfile.TarInfo
) -> None:
    with pytest.raises(DataError, match="is unsafe"):
        prepare_cub(pack(odd), out)

    assert left_behind(out) == []
    assert not list(tmp_path.rglob("escaped.txt"))


def test_an_archive_that_hides_its_size_is_refused_before_anything_is_written(
    pack: Pack, out: Path
) -> None:
    twice = member("CUB_200_2011/README"), member("CUB_200_2011/README")
    twice[0].size = 1 << 20

    with pytest.raises(DataError, match=r"is unsafe: 'CUB_200_2011/README' comes twice"):
        prepare_cub(pack(*twice), out)
    assert left_behind(out) == []


def test_a_missing_archive_is_answered_with_where_to_get_it(tmp_path: Path, out: Path) -> None:
    with pytest.raises(DataError, match=r"no archive at .*; fetch the archive with `dvc pull`"):
        prepare_cub(tmp_path / "none.tgz", out)


@pytest.mark.parametrize("damage", ["empty", "text", "truncated", "altered"])
@pytest.mark.parametrize("mode", ["w:gz", "w", "w:xz", "w:bz2"])
def test_a_damaged_archive_leaves_nothing(pack: Pack, out: Path, damage: str, mode: str) -> None:
    archive = pack(mode=mode)
    whole = archive.read_bytes()
    middle = len(whole) // 2
    archive.write_bytes(
        {
            "empty": b"",
            "text": b"<html>Not found</html>\n" * 100,
            "truncated": whole[:middle],
            "altered": whole[:middle] + bytes(2048) + whole[middle + 2048 :],
        }[damage]
    )

    with pytest.raises(DataError) as caught:
        prepare_cub(archive, out)

    assert "\n" not in str(caught.value)
    assert left_behind(out) == []


@pytest.mark.parametrize("mode", ["w:gz", "w:xz", "w:bz2"])
def test_an_archive_is_read_to_the_end_where_its_checksum_is(
    pack: Pack, out: Path, mode: str
) -> None:
    archive = pack(mode=mode)
    packed = bytearray(archive.read_bytes())
    packed[-2] ^= 1
    archive.write_bytes(packed)

    with pytest.raises(DataError, match=r"is not a whole tar archive \(.*\); fetch the archive"):
        prepare_cub(archive, out)
    assert left_behind(out) == []


def test_another_archive_is_not_taken_for_cub(tree: Path, tmp_path: Path, out: Path) -> None:
    with tarfile.open(tmp_path / "other.tar", "w") as tar:
        tar.add(tree, "shapes")

    with pytest.raises(DataError, match=r"holds no images\.txt"):
        prepare_cub(tmp_path / "other.tar", out)
    assert left_behind(out) == []


def first_photo(cub: Path) -> Path:
    return read_dataset(cub).train[0].path


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda cub: first_photo(cub).unlink(), "images.txt lists .*: no such file"),
        (lambda cub: first_photo(cub).write_bytes(b""), "images.txt lists .*: empty file"),
        (lambda cub: first_photo(cub).write_text("no picture"), "not a picture that can be read"),
        (lambda cub: cut(first_photo(cub)), r"damaged picture \(image file is truncated"),
        (
            lambda cub: rewrite(cub / "bounding_boxes.txt", "1 60.0 30.0 40.0 20.0"),
            "is not inside",
        ),
        (lambda cub: rewrite(cub / "bounding_boxes.txt", "1 5.0 5.0 nan 9.0"), "is not inside"),
        (lambda cub: rewrite(cub / "images.txt", "1 ../../secret.jpg"), "lies outside"),
        (lambda cub: (cub / "images.txt").write_text(""), "or another list"),
    ],
    ids=[
        "missing",
        "empty",
        "not-a-picture",
        "cut-short",
        "box-outside",
        "box-nan",
        "path-outside",
        "no-rows",
    ],
)
def test_an_incomplete_archive_is_refused_and_leaves_nothing(
    cub: Path, pack: Pack, out: Path, spoil: Callable[[Path], object], message: str
) -> None:
    spoil(cub)

    with pytest.raises(DataError, match=message):
        prepare_cub(pack(), out)
    assert left_behind(out) == []


def cut(photo: Path) -> None:
    """Leave the header, which says all but the pixels."""
    photo.write_bytes(photo.read_bytes()[:-200])


def test_a_damaged_photo_in_a_folder_is_named_and_the_way_on(cub: Path, out: Path) -> None:
    cut(first_photo(cub))

    with pytest.raises(DataError) as caught:
        prepare_cub(cub, out)

    message = str(caught.value)
    assert message.startswith(f"{cub} is not the whole of CUB-200-2011: images.txt lists ")
    assert f"{first_photo(cub)}: damaged picture (" in message
    assert message.endswith("; give the archive, or a folder that is whole")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda cub: rewrite(cub / "image_class_labels.txt", "1 9"),
            "CUB_200_2011: class '9' is missing from classes.txt",
        ),
        (
            lambda cub: first_photo(cub).write_bytes(b""),
            "images.txt lists CUB_200_2011/images/001.Blue_Disc/Blue_Disc_0000.jpg: empty file",
        ),
        (
            lambda cub: (cub / "classes.txt").unlink(),
            "cannot read CUB_200_2011/classes.txt: No such file or directory",
        ),
    ],
    ids=["no-class", "empty-photo", "no-list"],
)
def test_what_is_wrong_in_an_archive_is_named_as_it_is_named_there(
    cub: Path, pack: Pack, out: Path, spoil: Callable[[Path], object], message: str
) -> None:
    spoil(cub)
    archive = pack()

    with pytest.raises(DataError) as caught:
        prepare_cub(archive, out)

    told = str(caught.value)
    assert told.startswith(f"{archive} is not whole: {message}; fetch the archive with `dvc pull`")


def test_a_member_that_cannot_be_written_is_named_as_in_the_archive(pack: Pack, out: Path) -> None:
    name = f"CUB_200_2011/{'x' * 300}"
    archive = pack(member(name))

    with pytest.raises(DataError) as caught:
        prepare_cub(archive, out)

    told = f"cannot unpack {archive} to {out}: {name}: File name too long; give another folder "
    assert str(caught.value).startswith(told)
    assert left_behind(out) == []


def rewrite(path: Path, first_line: str) -> None:
    _, _, rest = path.read_text().partition("\n")
    path.write_text(f"{first_line}\n{rest}")


def failing_at(number: int, error: BaseException) -> Callable[..., None]:
    """A stand-in for ``TarFile.extract`` that works until it does not."""
    whole, calls = tarfile.TarFile.extract, iter(range(1, 1000))

    def extract(self: tarfile.TarFile, *arguments: object, **options: object) -> None:
        if next(calls) == number:
            raise error
        whole(self, *arguments, **options)  # type: ignore[arg-type]

    return extract


def test_a_full_disk_is_said_and_nothing_stays(
    pack: Pack, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr(tarfile.TarFile, "extract", failing_at(9, full))

    with pytest.raises(DataError, match=r"the disk under .* is full"):
        prepare_cub(pack(), out)
    assert left_behind(out) == []


def test_too_small_a_disk_is_seen_beforehand(
    pack: Pack, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive, usage = pack(), shutil.disk_usage(out.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))

    with pytest.raises(DataError, match=r"unpacking needs .* GB, .* has 0\.0 GB free"):
        prepare_cub(archive, out)


def test_ctrl_c_leaves_nothing(pack: Pack, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tarfile.TarFile, "extract", failing_at(9, KeyboardInterrupt()))

    with pytest.raises(KeyboardInterrupt):
        prepare_cub(pack(), out)
    assert left_behind(out) == []


def test_the_command_prints_the_folder_alone_on_stdout(
    birdedge: Callable[..., tuple[int, str, str]], pack: Pack
) -> None:
    code, out, err = birdedge("data", "prepare", str(pack()), "--out", "photos")

    assert code == 0
    assert out == "photos/CUB_200_2011\n"
    assert "24 photos of 3 species in photos/CUB_200_2011" in err


def test_the_command_says_what_is_wrong_in_one_line(
    birdedge: Callable[..., tuple[int, str, str]],
) -> None:
    code, out, err = birdedge("data", "prepare", "none.tgz")

    assert (code, out) == (1, "")
    assert err.startswith("birdedge: no archive at none.tgz; ")
    assert err.count("\n") == 1


def test_a_terminal_sees_progress_and_a_pipe_the_folder(
    pack: Pack, environment: dict[str, str], tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "birdedge", "data", "prepare", str(pack()), "--out", "photos"]

    folder, shown = watched(command, tmp_path, environment)

    assert "checking photos" in shown
    assert folder == b"photos/CUB_200_2011\n"
