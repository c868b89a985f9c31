"""Where a backbone comes from, and how it is told from every other: its name and fingerprint.

Four kinds of source are told apart by how they are written:

- ``random:bert-base``: the shapes of a known architecture with random weights;
- ``quick/bert``: a tiny pretrained backbone that ships with the package;
- a folder that holds a ``config.json``;
- anything else: a Hub id, ``owner/name`` or ``owner/name@revision``.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from sparsebench.errors import UnknownNameError, UserError
from sparsebench.models.anatomy import family_of
from sparsebench.models.architectures import ARCHITECTURES
from sparsebench.models.bundle import BundledModel, bundle_folder, read_bundle
from sparsebench.models.families import Family

QUICK = Path(__file__).parents[1] / "quick" / "backbones"
FILES = ("*.json", "*.safetensors", "*.txt", "*.model")
"""What is fetched of a Hub repository: no code, and no format that must be unpickled."""


IN_PACKAGE = ("random:", "quick/")
"""How the names begin of what needs no file but those of the package."""


class UnreachableHubError(UserError):
    """The Hub does not answer, and the local cache lacks what is asked for."""


class ModelSource(ABC):
    """Where a backbone comes from.

    Attributes:
        spec: What the user wrote.
        name: What tables call it.
    """

    spec: str
    name: str

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """Tells this backbone from any other: a content hash, a Hub commit or an architecture."""

    @property
    @abstractmethod
    def config(self) -> dict[str, Any]:
        """The transformers configuration as a dictionary, read without loading any weight."""

    @abstractmethod
    def folder(self) -> Path | None:
        """Returns the folder that holds the weights, fetched where needed; None if random."""

    @property
    def family(self) -> Family:
        """The family, as its configuration tells.

        Raises:
            UserError: It is of no family that we know.
        """
        config = self.config
        try:
            return family_of(type("Config", (), config))
        except UserError as error:
            raise UserError(f"model {self.spec!r}: {error}") from None

    @property
    def positions(self) -> int | None:
        """The most tokens of an input, as its configuration tells; None for no limit."""
        if self.family is Family.T5:
            return None
        key = "n_positions" if self.family is Family.GPT2 else "max_position_embeddings"
        positions: int | None = self.config.get(key)
        if positions and self.family is Family.ROBERTA:
            positions -= self.config.get("pad_token_id", 1) + 1
        return positions


@dataclass(frozen=True)
class RandomSource(ModelSource):
    """A known architecture with random weights: all that measuring costs needs."""

    spec: str

    @property
    def name(self) -> str:  # type: ignore[override]
        """The name of the architecture, marked as random."""
        return self.spec

    @property
    def fingerprint(self) -> str:
        """The hash of the configuration."""
        return _hash(json.dumps(self.config, sort_keys=True).encode())

    @property
    def config(self) -> dict[str, Any]:
        """The architecture's constants."""
        kind, settings = ARCHITECTURES[self.spec.removeprefix("random:")]
        return {"model_type": kind, **settings}

    def folder(self) -> None:
        """Returns None: there is nothing on disk."""


@dataclass(frozen=True)
class FolderSource(ModelSource):
    """A folder in the format of ``save_pretrained``."""

    spec: str
    path: Path

    @property
    def name(self) -> str:  # type: ignore[override]
        """The folder's name, or ``quick/<family>`` for a backbone of the package."""
        return self.spec if self.path.parent == QUICK else self.path.resolve().name

    @cached_property
    def fingerprint(self) -> str:
        """The hash of every file that makes the model: configuration, weights, tokenizer."""
        digest = hashlib.sha256()
        for pattern in FILES:
            for file in sorted(self.path.glob(pattern)):
                digest.update(f"{file.name}\0".encode())
                with file.open("rb") as stream:
                    digest.update(hashlib.file_digest(stream, "sha256").digest())
        return digest.hexdigest()[:16]

    @cached_property
    def config(self) -> dict[str, Any]:
        """The folder's ``config.json``."""
        return _read_config(self.path / "config.json")

    def folder(self) -> Path:
        """Returns the folder."""
        return self.path


@dataclass(frozen=True)
class HubSource(ModelSource):
    """A repository of the Hugging Face Hub, pinned to a commit on first use."""

    spec: str

    @property
    def name(self) -> str:  # type: ignore[override]
        """The repository's id."""
        return self.spec.partition("@")[0]

    @cached_property
    def fingerprint(self) -> str:
        """The commit that the revision stands for now, or in the local cache when offline."""
        import huggingface_hub as hub
        from huggingface_hub import errors

        revision = self.spec.partition("@")[2] or None
        try:
            return str(hub.HfApi().model_info(self.name, revision=revision).sha)
        except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError) as error:
            raise UserError(f"model {self.spec!r}: the Hub has no such id or revision") from error
        except errors.HFValidationError as error:
            raise UserError(f"model {self.spec!r}: no folder, and no Hub id: {error}") from None
        except Exception as error:  # noqa: BLE001 - without the network, many kinds are raised
            return self._cached_commit(revision, cause=error)

    def _cached_commit(self, revision: str | None, *, cause: Exception) -> str:
        import huggingface_hub as hub

        try:
            folder = hub.snapshot_download(self.name, revision=revision, local_files_only=True)
        except Exception:  # noqa: BLE001
            reason = str(cause).strip().partition("\n")[0]
            raise UnreachableHubError(
                f"model {self.spec!r} is neither a folder with a config.json, nor random:<name>, "
                f"nor quick/<family>, and the Hub did not answer for it ({reason})"
            ) from None
        return Path(folder).name

    @cached_property
    def config(self) -> dict[str, Any]:
        """The repository's ``config.json``."""
        import huggingface_hub as hub

        revision = self.fingerprint
        try:
            file = hub.hf_hub_download(self.name, "config.json", revision=revision)
        except Exception as error:  # noqa: BLE001 - without the network, many kinds are raised
            reason = str(error).strip().partition("\n")[0]
            raise UnreachableHubError(
                f"model {self.spec!r}: its config.json could not be had from the Hub ({reason})"
            ) from None
        return _read_config(Path(file))

    def folder(self) -> Path:
        """Returns the local snapshot of the pinned commit, downloaded where needed."""
        import huggingface_hub as hub

        folder = hub.snapshot_download(
            self.name, revision=self.fingerprint, allow_patterns=list(FILES)
        )
        if not list(Path(folder).glob("*.safetensors")):
            raise UserError(
                f"model {self.spec!r} has no *.safetensors file; other formats are not loaded, "
                "since they would have to be unpickled: convert it, or name another revision"
            )
        return Path(folder)


@dataclass(frozen=True)
class BundledSource(FolderSource):
    """A backbone in an offline bundle; its name and fingerprint are those that it had online."""

    kept: BundledModel

    @property
    def name(self) -> str:  # type: ignore[override]
        """The name that it was fetched by."""
        return self.kept.name

    @property
    def fingerprint(self) -> str:
        """The fingerprint that it was fetched with."""
        return self.kept.fingerprint


def quick_backbones() -> list[str]:
    """Returns the backbones that come with the package, such as ``quick/bert``."""
    return sorted(f"quick/{file.parent.name}" for file in QUICK.glob("*/config.json"))


def model_source(spec: str) -> ModelSource:
    """Reads how a user names a backbone.

    Raises:
        UserError: No such architecture, family or folder.
    """
    if spec.startswith("random:"):
        name = spec.removeprefix("random:")
        if name not in ARCHITECTURES:
            raise UnknownNameError("architecture", name, known=ARCHITECTURES)
        return RandomSource(spec)
    if spec.startswith("quick/"):
        if spec not in (known := quick_backbones()):
            raise UnknownNameError("quick backbone", spec, known=known)
        return FolderSource(spec, QUICK / spec.removeprefix("quick/"))
    if bundle := bundle_folder():
        kept = read_bundle(bundle).model(spec)
        return BundledSource(spec, bundle / kept.folder, kept)
    try:
        path = Path(spec).expanduser()
        is_model, is_there = (path / "config.json").is_file(), path.exists()
    except (OSError, RuntimeError) as error:  # too long a name, or nobody's home
        raise UserError(f"model {spec[:80]!r}: no such folder ({error})") from None
    if is_model:
        return FolderSource(spec, path)
    if is_there or spec.startswith((".", "/", "~")) or spec.count("/") > 1:
        hint = "" if path.is_absolute() else f"; folders count from the current one, {Path.cwd()}"
        raise UserError(f"model {spec!r}: no folder with a config.json is there{hint}")
    return HubSource(spec)


def _read_config(file: Path) -> dict[str, Any]:
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{file}: not a readable model configuration ({error})") from None
    if not isinstance(config, dict):
        raise UserError(f"{file}: a model configuration is a JSON object")
    return config


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
