"""The models that a profile measures: methods on untrained backbones, and deployed folders."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sparsebench import deployed
from sparsebench.errors import UserError
from sparsebench.method_registry import configure, refusal
from sparsebench.models import FAMILIES, Form, model_source
from sparsebench.results.checksums import folder_hashes
from sparsebench.results.stored_run import RESULT, read_result
from sparsebench.schema.spec import MethodChoice

if TYPE_CHECKING:
    from pathlib import Path

    from sparsebench.models import ModelSource
    from sparsebench.results.records import RunResult
    from sparsebench.suite import Suite

LABELS = ("0", "1")
"""The classes of an untrained classifier: two, as most tasks of GLUE have."""


@dataclass(frozen=True)
class UntrainedModel:
    """A method on an untrained backbone.

    Attributes:
        source: The backbone.
        form: The task form of its head.
        method: The method, its settings resolved.
        notes: Remarks that a reader of the costs needs.
    """

    source: ModelSource
    form: Form
    method: MethodChoice
    notes: tuple[str, ...]

    @property
    def obstacle(self) -> str | None:
        """Why the method cannot be applied to the backbone, or None."""
        if self.form not in FAMILIES.get(self.source.family).forms:
            return f"{self.source.family} does not support {self.form}"
        method = configure(self.method.name, self.method.settings)
        try:
            return refusal(method, self.source.family, self.form)
        except UserError as error:
            return str(error)

    def spec_fields(self, attention: str) -> dict[str, object]:
        """Return the fields of a ``ProfileSpec`` that name the model.

        Args:
            attention: The attention implementation that untrained backbones get.
        """
        return {
            "model": self.source.name,
            "model_fingerprint": self.source.fingerprint,
            "method": self.method,
            "trained": False,
            "form": self.form.value,
            "attention": attention,
        }


@dataclass(frozen=True)
class DeployedModel:
    """A deployed folder."""

    folder: Path

    obstacle = None
    """A deployed model can always be loaded."""

    @cached_property
    def result(self) -> RunResult | None:
        """The result of the run that deployed it, if the folder lies beside one."""
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
            UserError: No result lies beside the folder, or its backbone cannot be found.
        """
        if self.result is None or self.result.provenance is None:
            raise UserError(f"{self.folder}: no {RESULT} beside it names its backbone")
        return model_source(self.result.provenance.model_origin)

    @property
    def changed_files(self) -> list[str]:
        """The files that differ from what the run stored, as paths relative to its result."""
        stored = self.result.files if self.result else {}
        found = {f"{self.folder.name}/{path}": digest for path, digest in self._hashes.items()}
        return [name for name, digest in found.items() if stored.get(name, digest) != digest]

    @cached_property
    def _hashes(self) -> dict[str, str]:
        """File, relative to the folder -> SHA-256."""
        return folder_hashes(self.folder)

    def spec_fields(self, attention: str) -> dict[str, object]:  # noqa: ARG002 - its own is recorded
        """Return the fields of a ``ProfileSpec`` that name the model."""
        spec = self.result.spec if self.result else None
        return {
            "model": spec.model if spec else str(self.folder),
            "model_fingerprint": spec.model_fingerprint if spec else "",
            "method": spec.method if spec else None,
            "trained": True,
            "folder": hashlib.sha256(json.dumps(self._hashes).encode()).hexdigest(),
            "form": self.record.form.value,
            "attention": self.record.attention,
        }


ProfiledModel = UntrainedModel | DeployedModel


def untrained_models(suite: Suite) -> list[UntrainedModel]:
    """Return every method of a suite on every backbone, backbone by backbone.

    Raises:
        UserError: A name or a setting is wrong.
    """
    form = suite.profile.form if suite.profile else None
    models = []
    for spec in suite.models:
        source = model_source(spec)
        default = FAMILIES.get(source.family).forms[0]
        for label in suite.methods:
            choice, notes = _method_choice(suite, label)
            models.append(UntrainedModel(source, Form(form) if form else default, choice, notes))
    return models


def deployed_model(folder: Path) -> DeployedModel:
    """Return a deployed model, by its own folder or by the folder of its run.

    Raises:
        UserError: The folder holds no deployed model.
    """
    inner = folder / "deployed"
    chosen = inner if not (folder / deployed.RECORD_FILE).is_file() and inner.is_dir() else folder
    deployed.read_record(chosen)
    return DeployedModel(chosen)


def _absent(values: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values, also of nested settings, that are not given."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        own = given.get(key)
        if isinstance(value, Mapping) and isinstance(own, Mapping):
            found |= {key: inner} if (inner := _absent(value, own)) else {}
        elif key not in given:
            found[key] = value
    return found


def _merged(given: Mapping[str, Any], others: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings together with others, which they do not contain."""
    nested = {key: _merged(given[key], others[key]) for key in given.keys() & others.keys()}
    return {**given, **others, **nested}


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings by their path, such as ``settings.support``."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        nested = isinstance(value, Mapping)
        found |= _flat(value, f"{prefix}{key}.") if nested else {f"{prefix}{key}": value}
    return found


def _method_choice(suite: Suite, label: str) -> tuple[MethodChoice, tuple[str, ...]]:
    """Return a method with its settings resolved, and the notes on its untrained costs."""
    entry = suite.methods[label]
    name = entry.method or label
    stand_ins = _absent(configure(name, entry.settings).profile_settings, entry.settings)
    method = configure(name, _merged(entry.settings, stand_ins))
    notes = [
        f"{label}: {key}={value} stands for its default" for key, value in _flat(stand_ins).items()
    ]
    if method.learns_sparsity:
        notes.append(f"{label}: its sparsity is learned in training; untrained, it is 0")
    choice = MethodChoice(
        label=label,
        name=name,
        version=method.version,
        settings=method.config.model_dump(mode="json"),
    )
    return choice, tuple(notes)
