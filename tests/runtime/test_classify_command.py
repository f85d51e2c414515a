"""`birdedge classify` as people and programs meet it: output, exit codes, refusals."""

import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from colours import BLUE, GREEN, RED

from birdedge.runtime.bundle import ModelBundle

Birdedge = Callable[..., subprocess.CompletedProcess[str]]
Draw = Callable[..., Path]


@pytest.fixture
def model(bundle: ModelBundle, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(bundle.folder, tmp_path / "model"))


def test_json_has_the_keys_of_speciesnet(birdedge: Birdedge, model: Path, draw: Draw) -> None:
    photo = draw("red.png", RED)

    done = birdedge("classify", photo, "--model", model, "--json", "--top-k", 2)

    assert (done.returncode, done.stderr) == (0, "")
    line = json.loads(done.stdout)
    assert list(line) == [
        "filepath",
        "classifications",
        "detections",
        "prediction",
        "prediction_score",
        "model_version",
    ]
    assert line["filepath"] == str(photo)
    assert line["prediction"] == "Cardinalis cardinalis (Northern Cardinal)"
    assert line["classifications"]["classes"][0] == line["prediction"]
    assert len(line["classifications"]["scores"]) == 2
    assert line["prediction_score"] == line["classifications"]["scores"][0] > 0.5


def test_one_bad_file_among_many_is_named_and_passed_over(
    birdedge: Birdedge, model: Path, draw: Draw, tmp_path: Path
) -> None:
    for number in range(30):
        draw(f"p/{number:02}.png", (RED, GREEN, BLUE)[number % 3])
    (tmp_path / "p" / "07.png").write_bytes(b"")

    done = birdedge("classify", "p", "--model", model, "--json")

    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [Path(line["filepath"]).name for line in lines] == [f"{n:02}.png" for n in range(30)]
    assert lines[7]["failures"] == ["CLASSIFIER"] and "p/07.png" in lines[7]["error"]
    assert all("prediction" in line for number, line in enumerate(lines) if number != 7)
    assert done.returncode == 1
    first, last = done.stderr.splitlines()
    assert "p/07.png" in first
    assert last == "birdedge: 1 of 30 failed"


def bomb(path: Path) -> Path:
    """A valid PNG header that promises 40,000 x 40,000 pixels, in a few bytes."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    header = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(120_001 * 100))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )
    return path


def test_pictures_of_no_use_are_one_line_each(
    birdedge: Birdedge, model: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("hello")
    (tmp_path / "folder").mkdir()
    bomb(tmp_path / "bomb.png")
    sources = ["empty.jpg", "text.jpg", "bomb.png", "folder", "nowhere.jpg", "*.gif", "no.mp4"]

    done = birdedge("classify", *sources, "--model", model)

    *lines, total = done.stderr.splitlines()
    assert done.returncode == 1 and done.stdout == ""
    assert len(lines) == len(sources)
    for source, line in zip(sources, lines, strict=True):
        assert line.startswith("birdedge: ") and source in line
    assert "megapixels" in lines[2]
    assert total == "birdedge: 7 of 7 failed"


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        ([], "SOURCE"),
        (["a.jpg", ""], "an empty name"),
        (["a.jpg", "--camera", "0"], "--camera"),
        (["rtsp://garden/live", "--camera", "0"], "--camera"),
        (["--camera", "garden"], "names no camera"),
        (["a.jpg", "--whole-frame"], "--whole-frame"),
        (["a.jpg", "--every-frame"], "--every-frame"),
        (["--camera", "0", "--every-frame", "--zone", "0,0 1,0 1,1"], "--every-frame"),
        (["--camera", "0", "--zone", "0,0 1,1"], "--zone"),
        (["--camera", "dir:.", "--zone", "0,0 1,0 1,1"], "--zone"),
        (["--camera", "0", "--seconds", "inf"], "--seconds"),
        (["--camera", "0", "--seconds", "nan"], "--seconds"),
        (["--camera", "0", "--max-gb", "nan"], "--max-gb"),
        (["--camera", "0", "--max-days", "1e9"], "--max-days"),
        (["--camera", "0", "--roi", "0,0,2,1"], "--roi"),
        (["--camera", "0", "--roi", "0,0,1,1", "--whole-frame"], "--roi"),
        (["a.jpg", "--threshold", "2"], "--threshold"),
        (["a.jpg", "--top-k", "0"], "--top-k"),
        (["a.jpg", "--threads", "257"], "equal to 256"),
        (["a.jpg", "--frames", "many"], "--frames"),
        (["a.jpg", "--treshold", "0.5"], "--threshold"),
    ],
)
def test_wrong_usage_is_2_and_says_which_option(
    birdedge: Birdedge, arguments: list[str], hint: str
) -> None:
    done = birdedge("classify", *arguments)

    assert done.returncode == 2
    assert hint in done.stderr and done.stdout == ""


def test_a_tampered_bundle_names_nothing(birdedge: Birdedge, model: Path, draw: Draw) -> None:
    network = model / "model.onnx"
    content = bytearray(network.read_bytes())
    content[len(content) // 2] ^= 1
    network.write_bytes(content)

    done = birdedge("classify", draw("red.png"), "--model", model, "--json")

    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert "model.onnx" in line and "SHA-256" in line


def test_a_missing_bundle_and_wrong_labels_are_one_line(
    birdedge: Birdedge, model: Path, draw: Draw, tmp_path: Path
) -> None:
    photo = draw("red.png")
    (tmp_path / "two.txt").write_text("Parus major (Great Tit)\nPica pica (Magpie)\n")

    missing = birdedge("classify", photo, "--model", "nowhere")
    labels = birdedge("classify", photo, "--model", model, "--labels", "two.txt")

    assert missing.returncode == labels.returncode == 1
    assert missing.stderr.count("\n") == labels.stderr.count("\n") == 1
    assert "nowhere" in missing.stderr
    assert "two.txt has 2 lines" in labels.stderr and "3 classes" in labels.stderr


def test_labels_of_ones_own_are_shown(
    birdedge: Birdedge, model: Path, draw: Draw, tmp_path: Path
) -> None:
    (tmp_path / "own.txt").write_text("a (Rotkardinal)\nb (Sternelfe)\nc (Indigofink)\n")

    done = birdedge("classify", draw("red.png"), "--model", model, "--labels", "own.txt")

    assert "Rotkardinal" in done.stdout


def test_environment_variables_set_what_options_would(
    birdedge: Birdedge, model: Path, draw: Draw
) -> None:
    settings = {"BIRDEDGE_MODEL": str(model), "BIRDEDGE_THRESHOLD": "0.9999"}

    done = birdedge("classify", draw("red.png"), "--json", env=settings)
    over = birdedge("classify", draw("red.png"), "--json", "--threshold", 0, env=settings)

    assert json.loads(done.stdout)["prediction"] == "unknown"
    assert json.loads(over.stdout)["prediction"] == "Cardinalis cardinalis (Northern Cardinal)"


def test_too_many_threads_are_wrong_in_the_environment_too(birdedge: Birdedge) -> None:
    done = birdedge("classify", "a.jpg", env={"BIRDEDGE_THREADS": "257"})

    assert done.returncode == 2 and "BIRDEDGE_THREADS" in done.stderr


def test_standard_input_is_a_picture(birdedge: Birdedge, model: Path, draw: Draw) -> None:
    done = birdedge(
        "classify", "-", "--model", model, "--json", stdin=draw("blue.png", BLUE).read_bytes()
    )

    line = json.loads(done.stdout)
    assert (line["filepath"], line["prediction"]) == ("-", "Passerina cyanea (Indigo Bunting)")


def test_a_videos_frames_are_numbered_and_bounded(
    birdedge: Birdedge, model: Path, video: Path
) -> None:
    done = birdedge("classify", video, "--model", model, "--json", "--frames", 7)

    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["frame"] for line in lines] == list(range(7))
    assert lines[0]["prediction"] == "Cardinalis cardinalis (Northern Cardinal)"
    assert lines[6]["prediction"] == "Passerina cyanea (Indigo Bunting)"
    assert lines[5]["seconds"] == pytest.approx(1.0, abs=0.02)


def test_what_was_classified_is_saved(
    birdedge: Birdedge, model: Path, draw: Draw, tmp_path: Path
) -> None:
    draw("p/a bird.png", RED), draw("p/b.png", BLUE)

    done = birdedge("classify", "p", "--model", model, "--save-frames", "saved")

    assert done.returncode == 0
    assert sorted(path.name for path in (tmp_path / "saved").iterdir()) == [
        "000001-a_bird-Northern_Cardinal.jpg",
        "000002-b-Indigo_Bunting.jpg",
    ]


def test_a_long_name_is_saved_under_a_shorter_one(
    birdedge: Birdedge, model: Path, draw: Draw, tmp_path: Path
) -> None:
    photo = draw("b" * 240 + ".png", RED)

    done = birdedge("classify", photo, "--model", model, "--save-frames", "saved")

    assert (done.returncode, done.stderr) == (0, "")
    (saved,) = (tmp_path / "saved").iterdir()
    assert saved.name.endswith("-Northern_Cardinal.jpg")


@pytest.mark.parametrize(
    "arguments", [["classify", "p"], ["classify", "p", "--json"], ["classify", "--help"]]
)
@pytest.mark.parametrize("stdout", [">/dev/full", ">&-"])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_output_that_cannot_be_written_is_one_line(
    model: Path, draw: Draw, environment: dict[str, str], tmp_path: Path,
    arguments: list[str], stdout: str, unbuffered: str,
) -> None:  # fmt: skip
    draw("p/red.png"), draw("p/blue.png")
    environment |= {"PYTHONUNBUFFERED": unbuffered}
    command = f"{sys.executable} -m birdedge {' '.join(arguments)} --model {model} {stdout}"

    done = subprocess.run(
        command, shell=True, capture_output=True, text=True, cwd=tmp_path, env=environment,
        check=False,
    )  # fmt: skip

    (line,) = done.stderr.splitlines()
    assert line.startswith("birdedge: ")
    assert "standard output: No space left" in line or "standard output is closed" in line
    assert done.returncode == 1


def test_a_name_that_is_no_text_can_be_written_anyway(
    birdedge: Birdedge, model: Path, draw: Draw, environment: dict[str, str]
) -> None:
    photo = draw("p/red.png")
    photo.rename(os.fsdecode(os.fsencode(photo.parent) + b"/\xff.png"))
    environment["PYTHONIOENCODING"] = "utf-8:strict"

    done = birdedge("classify", "p", "--model", model, "--json")

    assert (done.returncode, done.stderr) == (0, "")
    assert os.fsencode(json.loads(done.stdout)["filepath"]) == b"p/\xff.png"


def test_so_many_seconds_bound_files_too(
    birdedge: Birdedge, model: Path, draw: Draw, tmp_path: Path
) -> None:
    for number in range(3000):
        (tmp_path / f"{number}.png").symlink_to(draw("red.png"))

    done = birdedge("classify", "[0-9]*.png", "--model", model, "--json", "--seconds", 0.01)

    assert done.returncode == 0
    assert 1 <= len(done.stdout.splitlines()) < 3000


def test_a_place_that_cannot_be_saved_to_is_named(
    birdedge: Birdedge, model: Path, draw: Draw, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()

    done = birdedge("classify", draw("red.png"), "--model", model, "--save-frames", "file/saved")

    assert done.returncode == 1
    assert "cannot save to file/saved" in done.stderr.splitlines()[-1]

    done = birdedge("classify", draw("red.png"), "--model", model, "--save-frames", "file")

    assert done.returncode == 1
    assert "cannot save to file: it is a file, no folder" in done.stderr


def test_a_camera_that_is_not_there_is_one_line(birdedge: Birdedge, model: Path) -> None:
    done = birdedge("classify", "--camera", 99, "--model", model)

    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("birdedge: camera 99 cannot be opened")


def test_a_reader_that_has_seen_enough_ends_it_quietly(
    model: Path, draw: Draw, environment: dict[str, str], tmp_path: Path
) -> None:
    for number in range(300):
        draw(f"p/{number:03}.png")

    done = subprocess.run(
        f"{sys.executable} -m birdedge classify p --json --model {model} | head -n 1",
        shell=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
        timeout=120,
        check=False,
    )

    assert json.loads(done.stdout)["filepath"] == "p/000.png"
    assert done.stderr == ""


def test_ctrl_c_ends_at_once_with_130_though_a_server_hangs(
    model: Path,
    draw: Draw,
    environment: dict[str, str],
    tmp_path: Path,
    serve: Callable[[Callable[[socket.socket], None]], str],
) -> None:
    url = serve(lambda caller: time.sleep(60))
    pictures = [str(draw(f"p/{number}.png")) for number in range(8)]
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "birdedge",
            "classify",
            *pictures,
            url,
            "--json",
            "--model",
            str(model),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=environment,
        # A job in the background ignores Ctrl-C, and its children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(8)]
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)

    assert process.returncode == 130
    assert all("prediction" in json.loads(line) for line in lines)
    assert errors == ""


@pytest.mark.parametrize("interrupted", ["onnxruntime", "typer"])
def test_ctrl_c_while_a_library_is_imported(interrupted: str, tmp_path: Path, draw: Draw) -> None:
    """Libraries in C++ make an error of their own of it."""
    (tmp_path / f"{interrupted}.py").write_text(
        "import os, signal, time\n"
        "try:\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    time.sleep(5)\n"
        "except KeyboardInterrupt:\n"
        f"    if {interrupted == 'typer'}: raise\n"
        "raise ImportError('initialization failed')\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "birdedge", "classify", str(draw("red.png"))],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
