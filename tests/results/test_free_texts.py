"""No secret of the environment reaches a file of a result."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from factories import make_costs, make_provenance, make_result

from sparsebench.results.costs import RuntimeCost
from sparsebench.results.free_texts import without_secrets
from sparsebench.results.profiles import ProfileResult, ProfileSpec, ProfileStore, profile_key
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
        *("SMTP_PASS", "PASS", "MYSQL_PWD", "PGPASSWORD", "OPENAIKEY", "KEY2", "SENTRY_DSN"),
        *("AZURE_STORAGE_CONNECTION_STRING", "SESSION_COOKIE"),
    ],
)
def test_a_secret_is_told_by_the_name_of_its_variable(name: str) -> None:
    said = without_secrets(f"401 for {VALUE}: no", {name: VALUE})
    assert said == f"401 for <{name}>: no"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HOME", "/home/me"),
        ("MY_TOKEN", "abc"),
        ("PWD", "/home/me/runs"),
        ("OLDPWD", "/home/me/suites"),
        ("TOKENIZERS_PARALLELISM", "disabled"),
        ("KEYBOARD", "english"),
    ],
)
def test_what_is_no_secret_stays(name: str, value: str) -> None:
    assert without_secrets(f"in {value}", {name: value}) == f"in {value}"


@pytest.mark.parametrize(
    "url",
    [
        "postgres://me:s3cr3t-pw@db.example.org:5432/runs",
        "mysql+pymysql://me:s3cr3t-pw@db/runs?charset=utf8",
        "redis://:s3cr3t-pw@cache:6379/0",
        "http://me:s3cr3t-pw@proxy:3128",
        "amqp://me:s3cr3t-pw@queue",
    ],
)
def test_the_password_of_an_address_is_a_secret_with_and_without_the_address(url: str) -> None:
    for text in (f"cannot connect to {url}", "login failed with 's3cr3t-pw'"):
        assert "s3cr3t-pw" not in without_secrets(text, {"DATABASE_URL": url})
    assert "s3cr3t-pw" not in without_secrets(f"cannot connect to {url}", {})
    host = url.rpartition("@")[2].partition("/")[0]
    assert host in without_secrets(f"cannot connect to {url}", {})


def test_a_quoted_password_is_found_as_it_was_meant() -> None:
    url = "postgres://me:p%40ss%2Fword@db"
    assert without_secrets("user me, password p@ss/word", {"DB": url}) == "user me, password <DB>"


@pytest.mark.parametrize(
    "text",
    [
        "git clone https://ghp_abcdefgh12345678ABCDEFGH@github.com/a/b",
        "GET /data?split=test&access_token=abcdefgh1234 failed",
        "GET https://host/blob?sv=2024&sig=abcdefgh1234%3D failed",
        "header Authorization: Bearer abcdefgh1234.x",
        "WANDB_API_KEY=abcdefgh1234 sparsebench run quick",
        "env DB_PASS='abcdefgh1234' sparsebench run quick",
        "token hf_abcdefgh1234abcdefgh1234 is invalid",
        "key AKIAABCDEFGH12345678 is invalid",
        "-----BEGIN RSA PRIVATE KEY-----\nabcdefgh1234\n-----END RSA PRIVATE KEY-----",
    ],
)
def test_a_secret_of_a_known_form_is_found_without_the_environment(text: str) -> None:
    said = without_secrets(text, {})
    assert "<secret>" in said
    assert "abcdefgh" not in said.lower()


@pytest.mark.parametrize(
    "text",
    [
        "pad_token_id = 0; eos_token='</s>', KeyError: 'token'",
        "https://huggingface.co/google/mt5-small?revision=main",
        "git@github.com:a/b and ssh://git@github.com/a/b",
        "BATCH_SIZE=64 sparsebench run quick --set lora.rank=8",
        "file.py:12: in <module>",
    ],
)
def test_plain_text_stays(text: str) -> None:
    assert without_secrets(text, {}) == text


def test_each_line_of_a_secret_and_its_beginning_in_a_cut_text_are_found() -> None:
    key = "line one of the key\nline two of the key"
    assert without_secrets("bad line two of the key!", {"MY_KEY": key}) == "bad <MY_KEY>!"
    assert without_secrets(f"no {VALUE[:12]}", {"HF_TOKEN": VALUE}) == "no <HF_TOKEN>"


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


def test_no_profile_holds_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://me:s3cr3t-pw@db/runs")
    told = "cannot connect with s3cr3t-pw"
    spec = ProfileSpec(
        **dict.fromkeys(("model", "model_fingerprint", "form", "device", "hardware"), "x"),
        **dict.fromkeys(("dtype", "attention"), "x"),
        **dict.fromkeys(("batch_size", "length", "target_length"), 1),
        trained=False,
    )
    costs = make_costs(runtimes=(RuntimeCost(name="csr", reason=told),), missing={"flops": told})
    ProfileStore(tmp_path).write(
        ProfileResult(
            key=profile_key(spec),
            spec=spec,
            status=Status.ERROR,
            reason=told,
            notes=(told,),
            costs=costs,
            provenance=make_provenance().model_copy(update={"command": f"x {told}"}),
        )
    )
    (text,) = [file.read_text() for file in tmp_path.rglob("*.json")]
    assert "s3cr3t" not in text
    assert text.count("<DATABASE_URL>") == 5
