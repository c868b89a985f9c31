"""What is measured: methods on untrained backbones, and deployed folders."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from sparsebench import deployed
from sparsebench.errors import UserError
from sparsebench.method_registry import METHODS, configure
from sparsebench.models import FORMS, Family, Form, model_source
from sparsebench.results.checksums import folder_hashes
from sparsebench.results.store import RESULT, read_result
from sparsebench.schema.spec import MethodChoice

if TYPE_CHECKING:
    from pathlib import Path

    from sparsebench.models import ModelSource
    from sparsebench.results.records import RunResult
    from sparsebench.suite import Suite

LABELS = ("0", "1")
"""The classes of an untrained classifier: two, as most tasks of GLUE have."""


@dataclass(frozen=True)
class Untrained:
    """A method on an untrained backbone.

    Attributes:
        source: The backbone.
        form: How it answers.
        method: The method, its settings resolved.
        notes: What must be known to read its costs.
    """

    source: ModelSource
    form: Form
    method: MethodChoice
    notes: tuple[str, ...]

    @property
    def obstacle(self) -> str | None:
        """Why the method cannot be measured on the backbone, or None."""
        if self.form not in FORMS[self.source.family]:
            return f"{self.source.family} cannot answer as {self.form}"
        method = configure(self.method.name, self.method.settings)
        return method.refuses(self.source.family, self.form)


@dataclass(frozen=True)
class Shipped:
    """A deployed folder.

    Attributes:
        folder: The folder.
    """

    folder: Path

    @cached_property
    def result(self) -> RunResult | None:
        """The result that the folder belongs to, if it lies beside one."""
        file = self.folder.parent / RESULT
        return read_result(file) if file.is_file() else None

    @cached_property
    def record(self) -> deployed.DeployedRecord:
        """The record of the folder."""
        return deployed.read_record(self.folder)

    @cached_property
    def source(self) -> ModelSource:
        """The untouched backbone.

        Raises:
            UserError: There is no result beside the folder, or its backbone cannot be found.
        """
        if self.result is None or self.result.provenance is None:
            raise UserError(
                f"{self.folder}: there is no {RESULT} beside it that names its backbone"
            )
        return model_source(self.result.provenance.model_origin)

    @property
    def changed(self) -> list[str]:
        """The files that are not as the run kept them, by their place beside its result."""
        kept = self.result.files if self.result else {}
        places = {f"{self.folder.name}/{path}": hashed for path, hashed in self._hashes.items()}
        return [name for name, hashed in places.items() if kept.get(name, hashed) != hashed]

    @cached_property
    def _hashes(self) -> dict[str, str]:
        """The SHA-256 of every file, by its place in the folder."""
        return folder_hashes(self.folder)

    @cached_property
    def digest(self) -> str:
        """A hash of all files of the folder."""
        return hashlib.sha256(json.dumps(self._hashes).encode()).hexdigest()


def untrained(suite: Suite) -> list[Untrained]:
    """Returns every method of a suite on every backbone, backbone by backbone.

    Raises:
        UserError: A name or a setting is wrong.
    """
    asked = suite.profile.form if suite.profile else None
    found = []
    for spec in suite.models:
        source = model_source(spec)
        default = Form.TEXT_TO_TEXT if source.family is Family.T5 else Form.CLASSIFICATION
        for label in suite.methods:
            choice, notes = _choice(suite, label)
            found.append(Untrained(source, Form(asked) if asked else default, choice, notes))
    return found


def shipped(folder: Path) -> Shipped:
    """Returns a deployed folder, which may be named by the folder of its run too.

    Raises:
        UserError: There is none.
    """
    inner = folder / "deployed"
    chosen = inner if not (folder / deployed.RECORD_FILE).is_file() and inner.is_dir() else folder
    deployed.read_record(chosen)
    return Shipped(chosen)


def _choice(suite: Suite, label: str) -> tuple[MethodChoice, tuple[str, ...]]:
    entry = suite.methods[label]
    name = entry.method or label
    kind = METHODS.get(name)
    stand_ins = {k: v for k, v in kind.stand_ins.items() if k not in entry.settings}
    method = configure(name, {**entry.settings, **stand_ins})
    notes = [f"{label}: {key}={value} stands for its default" for key, value in stand_ins.items()]
    if method.learns_sparsity:
        notes.append(f"{label}: how sparse it ends follows from training; untrained, it is whole")
    choice = MethodChoice(
        label=label,
        name=name,
        version=method.version,
        settings=method.config.model_dump(mode="json"),
    )
    return choice, tuple(notes)
