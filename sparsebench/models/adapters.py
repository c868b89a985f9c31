"""Models with an adapter of the PEFT library that cannot be merged: attach, save, load, detach.

PEFT keeps a trained copy of the task head inside the adapter. Here the head stays in the model, and
its parameters keep their identity; the adapter contains only what PEFT adds.
"""

from __future__ import annotations

import copy
import sys
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

WEIGHTS_FILE = "adapter_model.safetensors"


def attach_adapter(model: nn.Module, config: Any) -> Any:
    """Wrap a model with a PEFT adapter, and leave the model's own head in place.

    Args:
        model: A plain transformers model; it is changed in place.
        config: A ``peft.PeftConfig``.

    Returns:
        The ``peft.PeftModel``.
    """
    from peft import get_peft_model
    from peft.utils import ModulesToSaveWrapper

    with warnings.catch_warnings():  # PEFT uses a name that transformers is about to remove
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated")
        view = get_peft_model(model, config)
    for name, module in list(view.named_modules()):
        if isinstance(module, ModulesToSaveWrapper):
            view.set_submodule(name, module.original_module)
    if hasattr(config, "modules_to_save"):
        config.modules_to_save = None
    for tensor in (*view.parameters(), *view.buffers()):
        if tensor.untyped_storage().nbytes() > tensor.nbytes:  # safetensors cannot store a view
            tensor.data = tensor.data.clone()
    return view


def has_adapter(model: nn.Module) -> bool:
    """Return whether a model is a PEFT model."""
    peft = sys.modules.get("peft")
    return peft is not None and isinstance(model, peft.PeftModel)


def detached(model: Any) -> Any:
    """Return the plain model under an adapter; ``model`` itself keeps its adapter."""
    if model.active_peft_config.is_prompt_learning:
        return model.get_base_model()
    return copy.deepcopy(model).unload()


def save_adapter(model: Any, folder: Path) -> None:
    """Save the adapter of a PEFT model, without the model under it."""
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    config = copy.copy(model.active_peft_config)
    config.inference_mode = True
    config.base_model_name_or_path = None
    folder.mkdir(parents=True)
    config.save_pretrained(str(folder))
    state = get_peft_model_state_dict(model)
    tensors = {name: tensor.detach().cpu().clone() for name, tensor in state.items()}
    save_file(tensors, str(folder / WEIGHTS_FILE), metadata={"format": "pt"})


def load_adapter(model: nn.Module, folder: Path) -> Any:
    """Attach a saved adapter to a plain model; nothing is unpickled or downloaded.

    Raises:
        ValueError: The adapter does not fit the model.
    """
    from peft import PeftConfig, get_peft_model_state_dict, set_peft_model_state_dict
    from safetensors.torch import load_file

    tensors = load_file(str(folder / WEIGHTS_FILE))
    config = PeftConfig.from_pretrained(str(folder))
    config.inference_mode = True
    view = attach_adapter(model, config)
    if odd := sorted(tensors.keys() ^ get_peft_model_state_dict(view).keys()):
        raise ValueError(f"the adapter does not fit the model: {odd[0]!r} is missing in one")
    set_peft_model_state_dict(view, tensors)
    return view.eval()
