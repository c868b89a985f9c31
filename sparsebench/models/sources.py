"""Sources of backbones: the name, the fingerprint and the files of a model.

How a user writes a model decides the kind of its source:

- ``random:bert-base``: the shapes of a known architecture with random weights;
- ``quick/bert``: a tiny pretrained backbone of the package;
- a folder with a ``config.json``;
- anything else: a Hub id, ``owner/name`` or ``owner/name@revision``.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparsebench.errors import UnknownNameError, UserError
from sparsebench.models.architectures import ARCHITECTURES
from sparsebench.models.bundle import BundledModel, bundle_folder, read_bundle
from sparsebench.models.checks import check_config, check_files, read_tensor
from sparsebench.models.families import FAMILIES, family_of

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from typing import BinaryIO

    from sparsebench.models.anatomy import Family

QUICK = Path(__file__).parents[1] / "quick" / "backbones"
FILES = ("*.json", "*.safetensors", "*.txt", "*.model")
"""The files that are fetched from a Hub repository: no code, and no pickled weights."""

IN_PACKAGE = ("random:", "quick/")
"""The prefixes of models that need no files other than those of the package."""


class UnreachableHubError(UserError):
    """The Hub does not respond, and the local cache does not contain the model."""


class ModelSource(ABC):
    """The source of a backbone.

    Attributes:
        spec: The model as the user wrote it.
        name: Its name in tables.
    """

    spec: str
    name: str

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """The identity of the backbone: a content hash, a Hub commit or a hash of the shapes."""

    @property
    @abstractmethod
    def config(self) -> dict[str, Any]:
        """The transformers configuration as a dictionary, read without loading any weight."""

    @abstractmethod
    def folder(self) -> Path | None:
        """Return the folder of the weights, fetched if necessary; None for random weights."""

    def check(self) -> None:
        """Check its configuration, and its files if they are local, without loading the weights.

        Raises:
            UserError: The backbone cannot be loaded as it was trained; the message names the file.
        """
        check_config(self.config, spec=self.spec)

    @property
    def family(self) -> Family:
        """The family that its configuration names.

        Raises:
            UserError: The family is not registered.
        """
        config = self.config
        try:
            return family_of(type("Config", (), config))
        except UserError as error:
            raise UserError(f"model {self.spec!r}: {error}") from None

    @cached_property
    def untrained_pooler(self) -> bool:
        """Whether its files contain a pooler that no pretraining changed.

        Such a pooler has a bias of exact zeros, as it was drawn, or ``"untrained_pooler": true``
        stands in ``config.json``. It belongs to the task head, as one that the files lack does:
        methods that freeze the backbone would otherwise read the sequence through random weights.
        """
        if self.family not in FAMILIES or not FAMILIES.get(self.family).pooler:
            return False
        note = self.config.get("untrained_pooler")
        if note is not None:
            return bool(note)
        with self._weights() as stream:
            bias = b"" if stream is None else read_tensor(stream, suffix="pooler.dense.bias")
        return bool(bias) and not any(bias)

    def _weights(self) -> AbstractContextManager[BinaryIO | None]:
        """Open ``model.safetensors``, without reading all of it; None if there is no such file."""
        return nullcontext()

    @property
    def positions(self) -> int | None:
        """The most tokens of an input; None for no limit."""
        return FAMILIES.get(self.family).positions(self.config)


@dataclass(frozen=True)
class RandomSource(ModelSource):
    """A known architecture with random weights, to measure costs."""

    spec: str

    @property
    def name(self) -> str:  # type: ignore[override]
        """The name of the architecture, with ``random:`` before it."""
        return self.spec

    @property
    def fingerprint(self) -> str:
        """The hash of the configuration."""
        return _hash(json.dumps(self.config, sort_keys=True).encode())

    @property
    def config(self) -> dict[str, Any]:
        """The configuration of the architecture."""
        kind, settings = ARCHITECTURES[self.spec.removeprefix("random:")]
        return {"model_type": kind, **settings}

    def folder(self) -> None:
        """Return None: there are no files."""


@dataclass(frozen=True)
class FolderSource(ModelSource):
    """A folder in the format of ``save_pretrained``."""

    spec: str
    path: Path

    @property
    def name(self) -> str:  # type: ignore[override]
        """The name of the folder, or ``quick/<family>`` for a backbone of the package."""
        return self.spec if self.path.parent == QUICK else self.path.resolve().name

    @cached_property
    def fingerprint(self) -> str:
        """The hash of all files of the model: configuration, weights and tokenizer."""
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
        """Return the folder."""
        return self.path

    def _weights(self) -> AbstractContextManager[BinaryIO | None]:
        file = self.path / "model.safetensors"
        return file.open("rb") if file.is_file() else nullcontext()

    def check(self) -> None:
        """Check its configuration and its files."""
        super().check()
        check_files(self.path, spec=self.spec)


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
        """The commit of the revision on the Hub, or in the local cache when offline."""
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
                f"nor quick/<family>, and the Hub did not respond ({reason})"
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
                f"model {self.spec!r}: its config.json could not be fetched from the Hub ({reason})"
            ) from None
        return _read_config(Path(file))

    def _weights(self) -> AbstractContextManager[BinaryIO | None]:
        """Open the cached file, else the ranges of the remote one that are read."""
        import huggingface_hub as hub

        file = hub.try_to_load_from_cache(self.name, "model.safetensors", revision=self.fingerprint)
        if isinstance(file, str):
            return Path(file).open("rb")
        remote: Any = hub.HfFileSystem()
        path = f"{self.name}@{self.fingerprint}/model.safetensors"
        try:
            opened: BinaryIO | None = remote.open(path, "rb") if remote.exists(path) else None
        except Exception as error:  # noqa: BLE001 - without the network, many kinds are raised
            reason = str(error).strip().partition("\n")[0]
            raise UnreachableHubError(
                f"model {self.spec!r}: its weights could not be read from the Hub ({reason})"
            ) from None
        return opened or nullcontext()

    def folder(self) -> Path:
        """Return the local snapshot of the pinned commit, downloaded if necessary."""
        import huggingface_hub as hub

        folder = hub.snapshot_download(
            self.name, revision=self.fingerprint, allow_patterns=list(FILES)
        )
        if not list(Path(folder).glob("*.safetensors")):
            raise UserError(
                f"model {self.spec!r} has no *.safetensors file; other formats are not loaded, as "
                "unpickling may run code: convert it, or name another revision"
            )
        return Path(folder)


@dataclass(frozen=True)
class BundledSource(FolderSource):
    """A backbone in an offline bundle, with the name and fingerprint of its online source."""

    kept: BundledModel

    @property
    def name(self) -> str:  # type: ignore[override]
        """The name of the source that it was fetched from."""
        return self.kept.name

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the source that it was fetched from."""
        return self.kept.fingerprint


def quick_backbones() -> list[str]:
    """Return the names of the backbones of the package, such as ``quick/bert``."""
    return sorted(f"quick/{file.parent.name}" for file in QUICK.glob("*/config.json"))


def model_source(spec: str) -> ModelSource:
    """Return the source of the model that a user names.

    Raises:
        UserError: There is no such architecture, quick backbone or folder.
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
        is_model, exists = (path / "config.json").is_file(), path.exists()
    except (OSError, RuntimeError) as error:  # a name that is too long, or an unknown user's home
        raise UserError(f"model {spec[:80]!r}: no such folder ({error})") from None
    if is_model:
        return FolderSource(spec, path)
    if exists or spec.startswith((".", "/", "~")) or spec.count("/") > 1:
        hint = "" if path.is_absolute() else f" (relative to {Path.cwd()})"
        raise UserError(f"model {spec!r}: no folder with a config.json at this path{hint}")
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
