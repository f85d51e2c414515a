"""`dvc pull` fetches the official archive from its authors' server."""

import functools
import hashlib
import http.server
import os
import shutil
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from birdedge.train.prepare import OFFICIAL_MD5, OFFICIAL_URL, prepare_cub

OFFICIAL_SIZE = 1150585339


class Project:
    """A git and DVC repository with this project's data.dvc, pointed at another archive."""

    def __init__(self, folder: Path, repository: Path) -> None:
        self.folder = folder
        shutil.copytree(
            repository / ".dvc", folder / ".dvc", ignore=shutil.ignore_patterns("tmp", "cache")
        )
        for name in (".dvcignore", "data.dvc"):
            shutil.copy(repository / name, folder)
        (folder / ".gitignore").write_text("/data/\n")
        home = folder.parent / "home"
        self._environment = os.environ | {
            "HOME": str(home),
            "DVC_SITE_CACHE_DIR": str(home / "site"),
            "DVC_NO_ANALYTICS": "1",
            "NO_PROXY": "127.0.0.1",
        }
        self.call("git", "init", "--quiet")

    def point_at(self, url: str, archive: Path) -> None:
        swaps = {
            ".dvc/config": [(OFFICIAL_URL, url)],
            "data.dvc": [
                (OFFICIAL_URL, url),
                (OFFICIAL_MD5, hashlib.md5(archive.read_bytes()).hexdigest()),
                (str(OFFICIAL_SIZE), str(archive.stat().st_size)),
            ],
        }
        for name, pairs in swaps.items():
            path = self.folder / name
            text = path.read_text()
            for old, new in pairs:
                assert old in text
                text = text.replace(old, new)
            path.write_text(text)

    def call(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=self.folder, env=self._environment, capture_output=True, text=True
        )

    def dvc(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.call(sys.executable, "-m", "dvc", *arguments)


@pytest.fixture
def project(tmp_path: Path, repository: Path) -> Project:
    folder = tmp_path / "project"
    folder.mkdir()
    return Project(folder, repository)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A web server on this machine, and the folder that it serves."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{web.server_port}", folder
        web.shutdown()


@pytest.fixture
def archive(server: tuple[str, Path], cub: Path) -> Path:
    path = server[1] / "CUB_200_2011.tgz"
    with tarfile.open(path, "w:gz") as tar:
        tar.add(cub, "CUB_200_2011")
    return path


def test_data_dvc_names_the_official_archive(project: Project) -> None:
    tracked = OmegaConf.load(project.folder / "data.dvc")
    (out,) = tracked.outs

    assert out.path == "data/CUB_200_2011.tgz"
    assert (out.md5, out.hash, out["size"]) == (OFFICIAL_MD5, "md5", OFFICIAL_SIZE)
    assert tracked.meta.source == OFFICIAL_URL
    settings = project.dvc("config", "--list").stdout
    assert f"remote.{out.remote}.url={OFFICIAL_URL}#\n" in settings
    assert "core.analytics=false" in settings
    assert "core.remote" not in settings


def test_dvc_reads_data_dvc_and_misses_only_the_archive(project: Project) -> None:
    status = project.dvc("status", "--json")

    assert status.returncode == 0, status.stderr
    assert "data/CUB_200_2011.tgz" in status.stdout
    assert "changed checksum" not in status.stdout


def test_dvc_pull_fetches_the_archive_and_prepare_accepts_it(
    project: Project, server: tuple[str, Path], archive: Path
) -> None:
    project.point_at(f"{server[0]}/{archive.name}", archive)

    pulled = project.dvc("pull")

    assert pulled.returncode == 0, pulled.stderr
    fetched = project.folder / "data" / "CUB_200_2011.tgz"
    assert fetched.read_bytes() == archive.read_bytes()
    assert prepare_cub(fetched, fetched.parent)[1:] == (24, 3)
    assert "up to date" in project.dvc("pull").stdout
    assert "data" not in project.call("git", "status", "--short", "data").stdout


def test_dvc_pull_refuses_an_archive_that_is_not_the_recorded_one(
    project: Project, server: tuple[str, Path], archive: Path
) -> None:
    project.point_at(f"{server[0]}/{archive.name}", archive)
    archive.write_bytes(archive.read_bytes() + b"altered")

    assert project.dvc("pull").returncode != 0
    assert not (project.folder / "data" / "CUB_200_2011.tgz").exists()
