"""No secret of the environment reaches a file of a result."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from factories import make_result

from sparsebench.results.free_texts import without_secrets
from sparsebench.results.records import Retried, Status
from sparsebench.results.store import Store

if TYPE_CHECKING:
    from pathlib import Path

VALUE = "hf_abcdefgh12345678"


@pytest.mark.parametrize(
    "name",
    [
        *("HF_TOKEN", "WANDB_API_KEY", "AWS_SECRET_ACCESS_KEY", "GITHUB_PAT", "db_password"),
        *("SSH_PRIVATE_KEY", "GOOGLE_APPLICATION_CREDENTIALS", "REGISTRY_AUTH", "MY_KEY"),
    ],
)
def test_a_secret_is_told_by_the_name_of_its_variable(name: str) -> None:
    said = without_secrets(f"401 for Bearer {VALUE}: no", {name: VALUE})
    assert said == f"401 for Bearer <{name}>: no"


@pytest.mark.parametrize(("name", "value"), [("HOME", "/home/me"), ("MY_TOKEN", "abc")])
def test_what_is_no_secret_stays(name: str, value: str) -> None:
    assert without_secrets(f"in {value}", {name: value}) == f"in {value}"


def test_no_file_of_a_result_holds_a_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", VALUE)
    result = make_result(0.5)
    assert result.provenance is not None
    told = f"https://user:{VALUE}@example.org"
    provenance = result.provenance.model_copy(
        update={"command": f"sparsebench run {told}", "data_origin": told, "model_origin": told}
    )
    result = result.model_copy(
        update={
            "status": Status.ERROR,
            "score": None,
            "reason": told,
            "traceback": f"os.environ: {VALUE}",
            "retried": Retried(micro_batch_size=1, reason=told),
            "provenance": provenance,
        }
    )
    folder = Store(tmp_path).write(result)
    texts = [file.read_text() for file in folder.rglob("*") if file.is_file()]
    assert texts
    assert not any(VALUE in text for text in texts)
    assert "<HF_TOKEN>" in "".join(texts)
