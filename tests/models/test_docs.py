"""The page for authors of model families: its code and its commands work as written."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from plugins import install_in_place, python

PAGE = Path(__file__).parents[2] / "docs" / "add-a-model-family.md"

CREATE = """
import shutil, torch, transformers
from sparsebench.models.sources import QUICK
torch.manual_seed(0)
tokenizer = transformers.AutoTokenizer.from_pretrained(str(QUICK / "bert"))
config = transformers.DistilBertConfig(
    vocab_size=len(tokenizer), n_layers=2, dim=32, hidden_dim=48, n_heads=4,
    max_position_embeddings=64, pad_token_id=tokenizer.pad_token_id,
)
transformers.AutoModel.from_config(config).save_pretrained("my-distilbert")
tokenizer.save_pretrained("my-distilbert")
"""


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of the page, installed, and a tiny model of the family."""
    folder = tmp_path_factory.mktemp("page") / "my-family"
    module = folder / "src" / "sparsebench_my_family" / "__init__.py"
    module.parent.mkdir(parents=True)
    module.write_text(blocks("python")[0], encoding="utf-8")
    (folder / "pyproject.toml").write_text(*blocks("toml"), encoding="utf-8")
    install_in_place(folder)
    done = python(folder, "-c", CREATE)
    assert done.returncode == 0, done.stderr
    return folder


def test_the_anatomy_fits_the_model(package: Path) -> None:
    done = python(package, "-c", blocks("python")[1])
    assert done.returncode == 0, done.stderr


def test_the_commands_run(package: Path) -> None:
    for line in blocks("sh")[0].splitlines():
        done = python(package, "-m", *shlex.split(line))
        assert done.returncode == 0, (line, done.stdout, done.stderr)
        assert "distilbert" in done.stdout
        assert "error" not in done.stdout
