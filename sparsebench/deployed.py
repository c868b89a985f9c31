"""Deployed models on disk: saved completely or not at all, and loaded with the same predictions.

The folder has the format of transformers (``config.json``, ``model.safetensors``, the tokenizer)
with an additional file ``deployed.json`` for what a configuration cannot describe. If an adapter
cannot be merged, the folder contains the model without it, and ``adapter/`` the adapter.
"""

from __future__ import annotations

import copy
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, ValidationError

from sparsebench.bounded_files import MIB, read_json
from sparsebench.errors import UserError
from sparsebench.models.adapters import detached, has_adapter, load_adapter, save_adapter
from sparsebench.models.backbone import auto_class, keep_untied
from sparsebench.models.families import Form
from sparsebench.models.wrappers import bottleneck_widths, insert_bottlenecks
from sparsebench.schema.base import FrozenModel
from sparsebench.sparsity.removal import apply_record, removal_record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import torch
    from torch import nn
    from transformers import PreTrainedTokenizerBase

RECORD_FILE = "deployed.json"
WEIGHTS_FILE = "model.safetensors"
COMPRESSED_FILE = "model.sparse.safetensors"
ADAPTER = "adapter"

_LARGEST_RECORD = 50 * MIB


class DeployedRecord(FrozenModel):
    """The properties of a deployed model that its configuration cannot describe."""

    format: Literal[1] = 1
    """The version of the folder's layout."""

    form: Form
    """The form of the output."""

    head: tuple[str, ...]
    """Names of the parameters of the task head."""

    attention: str
    """The attention implementation."""

    tied: tuple[tuple[str, ...], ...]
    """Groups of names of the same tensor, which is stored under the first name of each group."""

    removed: dict[str, Any]
    """The remaining parts of blocks that lost some, as ``sparsity.removal`` writes them."""

    bottlenecks: dict[str, int] = Field(default_factory=dict)
    """Units of each bottleneck adapter, by the path of the module before it."""

    adapter: str | None
    """The PEFT type of the adapter in ``adapter/``, or None for a plain model."""


def save(
    model: nn.Module,
    folder: str | Path,
    *,
    form: Form,
    head: Iterable[str] = (),
    tokenizer: PreTrainedTokenizerBase | None = None,
) -> None:
    """Save a deployed model; an existing folder is replaced only when all files are written.

    Args:
        model: A plain transformers model, or a ``peft.PeftModel`` around one.
        folder: The folder to write.
        form: The form of the output.
        head: Names of the parameters of the task head in the plain model.
        tokenizer: The tokenizer to save with the model.

    Raises:
        UserError: The model is of another kind, or its parameters do not match its configuration.
    """
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        adapter = None
        if has_adapter(model):
            adapter = str(model.active_peft_config.peft_type.value)  # type: ignore[union-attr]
            save_adapter(model, partial / ADAPTER)
            model = detached(model)
        _save_plain(model, partial, form=form, head=tuple(sorted(head)), adapter=adapter)
        if tokenizer is not None:
            tokenizer.save_pretrained(str(partial))
        partial.chmod(0o755)
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def compress(folder: str | Path, target: str | Path) -> None:
    """Copy a deployed folder; tensors are stored without their zeros if that is smaller.

    Args:
        folder: A folder that a run kept or ``save`` wrote.
        target: The copy, which ``load`` can read; it must not exist.

    Raises:
        UserError: A file is missing or broken, or the target exists.
    """
    from safetensors.torch import load_file

    from sparsebench.sparsity.encoding import save_encoded

    folder, target = Path(folder), Path(target)
    read_record(folder)
    if target.exists():
        raise UserError(f"{target} already exists")
    with _reading(folder / WEIGHTS_FILE):
        tensors = load_file(str(folder / WEIGHTS_FILE))
    shutil.copytree(folder, target, ignore=shutil.ignore_patterns(WEIGHTS_FILE))
    save_encoded(tensors, target / COMPRESSED_FILE)


def load(folder: str | Path, *, device: str | torch.device = "cpu") -> nn.Module:
    """Load a deployed model in evaluation mode.

    Args:
        folder: A folder that a run kept or ``save`` wrote.
        device: The device of the model.

    Raises:
        UserError: A file is missing or broken; the message names it.
    """
    import torch

    folder = Path(folder)
    record = read_record(folder)
    with torch.random.fork_rng(devices=[]):
        model = _load_plain(folder, record)
        if record.adapter is not None:
            with _reading(folder / ADAPTER):
                model = load_adapter(model, folder / ADAPTER)
    return model.to(device).eval()


def read_record(folder: str | Path) -> DeployedRecord:
    """Read the record of a deployed model.

    Raises:
        UserError: There is none, or it is of another version.
    """
    file = Path(folder) / RECORD_FILE
    if not file.exists():
        raise UserError(f"{file} does not exist: {folder} is not a deployed model")
    content = read_json(file, limit=_LARGEST_RECORD)
    try:
        return DeployedRecord.model_validate(content)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"]))
        raise UserError(f"{file}: {where or 'file'}: {fault['msg']}") from None


def _save_plain(
    model: Any, folder: Path, *, form: Form, head: tuple[str, ...], adapter: str | None
) -> None:
    from safetensors.torch import save_file

    tensors, tied = _tensors(model)
    record = DeployedRecord(
        form=form,
        head=head,
        attention=_attention(model),
        tied=tied,
        removed=removal_record(model),
        bottlenecks=bottleneck_widths(model),
        adapter=adapter,
    )
    names = set(_skeleton(model.config, record).state_dict())
    if odd := sorted(names ^ set(tensors).union(*tied)):
        raise UserError(
            f"{type(model).__name__} is not the plain model that its configuration describes: "
            f"{odd[0]!r} is in only one of them; deploy() must merge or remove all additions"
        )
    save_file(tensors, str(folder / WEIGHTS_FILE), metadata={"format": "pt"})
    config = copy.deepcopy(model.config)
    config.architectures = [type(model).__name__]
    config.dtype = model.dtype
    config.save_pretrained(str(folder))
    if model.can_generate():
        model.generation_config.save_pretrained(str(folder))
    (folder / RECORD_FILE).write_text(record.model_dump_json(indent=2) + "\n", encoding="utf-8")


def _tensors(model: nn.Module) -> tuple[dict[str, torch.Tensor], tuple[tuple[str, ...], ...]]:
    """Return the tensors to store, and the groups of names of the same tensor."""
    names: dict[int, list[str]] = {}
    state = model.state_dict(keep_vars=True)
    for name, tensor in state.items():
        names.setdefault(id(tensor), []).append(name)
    kept = {group[0]: state[group[0]].detach().cpu().contiguous() for group in names.values()}
    return kept, tuple(tuple(group) for group in names.values() if len(group) > 1)


def _attention(model: Any) -> str:
    chosen = model.config._attn_implementation  # noqa: SLF001 - there is no public attribute
    return chosen if chosen in {"eager", "sdpa"} else "sdpa"


def _skeleton(config: Any, record: DeployedRecord) -> Any:
    """Return the deployed model without memory for its parameters."""
    from accelerate import init_empty_weights

    build = auto_class(record.form).from_config
    with init_empty_weights(include_buffers=False):
        model = build(copy.deepcopy(config), attn_implementation=record.attention)
        apply_record(model, record.removed)
        insert_bottlenecks(model, record.bottlenecks)
    return model


def _load_plain(folder: Path, record: DeployedRecord) -> nn.Module:
    from transformers import AutoConfig, GenerationConfig

    with _reading(folder / "config.json"):
        config = AutoConfig.from_pretrained(str(folder), local_files_only=True)
        model: nn.Module = _skeleton(config, record)
    compressed = (folder / COMPRESSED_FILE).is_file()
    with _reading(weights := folder / (COMPRESSED_FILE if compressed else WEIGHTS_FILE)):
        _fill(model, _read_tensors(weights), tied=record.tied)
    if (folder / (name := "generation_config.json")).is_file():
        with _reading(folder / name):
            kept = GenerationConfig.from_pretrained(str(folder), local_files_only=True)
            model.generation_config = kept
    return model


def _read_tensors(file: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    from sparsebench.sparsity.encoding import load_encoded

    return load_encoded(file) if file.name == COMPRESSED_FILE else load_file(str(file))


def _fill(
    model: Any, tensors: dict[str, torch.Tensor], *, tied: tuple[tuple[str, ...], ...]
) -> None:
    """Put tensors into a model that has no memory for its parameters."""
    from torch import nn

    expected, aliases = model.state_dict(), {group[0]: group for group in tied}
    if odd := sorted(expected.keys() ^ set(tensors).union(*tied)):
        raise ValueError(f"{odd[0]!r} is missing in the file or in the model")
    for name, tensor in tensors.items():
        if tensor.shape != expected[name].shape:
            shapes = f"{list(tensor.shape)}, not {list(expected[name].shape)}"
            raise ValueError(f"{name!r} has the shape {shapes}")
        path, _, leaf = name.rpartition(".")
        is_parameter = leaf in dict(model.get_submodule(path).named_parameters(recurse=False))
        value = nn.Parameter(tensor) if is_parameter else tensor
        for alias in aliases.get(name, (name,)):
            path, _, leaf = alias.rpartition(".")
            setattr(model.get_submodule(path), leaf, value)
    for name in set(model.all_tied_weights_keys).difference(*tied):
        keep_untied(model, name)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Convert errors in reading a file to a ``UserError`` that names it."""
    from safetensors import SafetensorError

    try:
        yield
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from error
