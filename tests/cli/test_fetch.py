"""Bundles: what a suite needs in one folder, and runs that make no connection."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from command_line import sparsebench

from sparsebench.errors import UserError
from sparsebench.models.bundle import read_bundle, use_bundle
from sparsebench.results import Status, Store

if TYPE_CHECKING:
    from conftest import Said

QUICK = Path(__file__).parents[2] / "sparsebench" / "quick" / "backbones"
SUITE = """
name: small
tasks: [toy-cola]
models: [{model}]
methods: [full]
training: {{ budget: 2 steps, max_length: 32 }}
costs: {{ batch_size: 1, length: 8, target_length: 1, seconds: 0.0 }}
"""

BLOCKED = """
import socket, sys
def refuse(*arguments, **named):
    raise AssertionError("a connection was made")
inet = socket.socket.connect
def connect(self, address):
    return inet(self, address) if self.family == socket.AF_UNIX else refuse()
socket.socket.connect = connect
socket.getaddrinfo = socket.create_connection = refuse
"""
"""What Python reads at its start: it lets no process connect to any machine."""


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a suite whose backbone is a folder, its bundle, and its result online."""
    home = tmp_path_factory.mktemp("there")
    (home / "tiny").symlink_to(QUICK / "bert")
    (home / "suite.yaml").write_text(SUITE.format(model="./tiny"))
    code, output = sparsebench("fetch", "suite.yaml", "--to", "bundle", cwd=home)
    assert code == 0, output
    assert "tasks 1, models 1" in output
    assert "there: sparsebench run suite.yaml --offline bundle" in output
    code, output = sparsebench("run", "suite.yaml", cwd=home)
    assert code == 0, output
    return home


def test_a_bundle_runs_where_there_is_no_network_under_the_same_key(
    there: Path, tmp_path: Path
) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(BLOCKED)
    (tmp_path / "suite.yaml").write_text((there / "suite.yaml").read_text())
    code, output = sparsebench(
        *("run", "suite.yaml", "--offline", str(there / "bundle")),
        cwd=tmp_path,
        PYTHONPATH=str(tmp_path / "site"),
    )
    assert code == 0, output
    (online,), (offline,) = Store(there / "runs"), Store(tmp_path / "runs")
    assert offline.status is Status.OK
    assert (offline.key, offline.scores) == (online.key, online.scores)

    code, output = sparsebench(
        *("run", "suite.yaml", "--models", "./other", "--offline", str(there / "bundle")),
        cwd=tmp_path,
    )
    assert code == 2
    assert "model './other' is not in the bundle; known: ./tiny" in output


def test_every_file_has_its_checksum(there: Path) -> None:
    bundle = there / "bundle"
    lines = (bundle / "SHA256SUMS").read_text().splitlines()
    listed = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    files = {f.relative_to(bundle).as_posix() for f in bundle.rglob("*") if f.is_file()}
    assert files == {*listed, "SHA256SUMS"}
    for name, digest in listed.items():
        assert hashlib.sha256((bundle / name).read_bytes()).hexdigest() == digest
    assert list(read_bundle(bundle).models) == ["./tiny"]
    assert not [name for name in files if name.endswith((".py", ".bin", ".pt", ".pkl"))]


@pytest.mark.parametrize("name", ["models/0/config.json", "bundle.json"])
def test_a_changed_file_is_named(there: Path, tmp_path: Path, name: str) -> None:
    import shutil

    shutil.copytree(there / "bundle", tmp_path / "bundle")
    with (tmp_path / "bundle" / name).open("a") as stream:
        stream.write("\n")
    with pytest.raises(UserError, match=f"changed since it was fetched: {name}"):
        use_bundle(tmp_path / "bundle")


@pytest.mark.parametrize("folder", ["../../etc", "/etc"])
def test_a_path_out_of_the_bundle_is_refused(tmp_path: Path, folder: str) -> None:
    model = {"name": "m", "fingerprint": "f", "folder": folder}
    content = {"suite": "s", "models": {"m": model}, "tasks": {}}
    (tmp_path / "bundle.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match="points outside the bundle"):
        read_bundle(tmp_path)


def test_what_is_no_bundle_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no bundle.*'sparsebench fetch SUITE --to"):
        read_bundle(tmp_path)
    (tmp_path / "bundle.json").write_text("{}")
    with pytest.raises(UserError, match="not written by 'fetch'"):
        read_bundle(tmp_path)


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path, cli: object) -> None:
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "mine").touch()
    said: Said = cli("fetch", "quick", "--to", "bundle")  # type: ignore[operator]
    assert (said.code, "exists and is not empty" in said.err) == (2, True)
    assert [file.name for file in (tmp_path / "bundle").iterdir()] == ["mine"]
