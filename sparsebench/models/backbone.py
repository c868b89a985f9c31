"""A pretrained model with its task head, ready for a method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sparsebench.models.families import Form, anatomy_of, family_of

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from sparsebench.models.anatomy import Anatomy, Family

_AUTO_CLASSES = {
    Form.CLASSIFICATION: "AutoModelForSequenceClassification",
    Form.SPAN: "AutoModelForQuestionAnswering",
    Form.TEXT_TO_TEXT: "AutoModelForSeq2SeqLM",
    Form.LANGUAGE_MODEL: "AutoModelForCausalLM",
}


@dataclass
class Backbone:
    """A pretrained model with its task head.

    Attributes:
        model: The transformers model, in fp32, on the CPU.
        tokenizer: Its tokenizer, with a pad token; None for random backbones.
        form: How it solves the task.
        head: Names of the parameters that were initialised for the task and not pretrained. Empty
            where the model generates text.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase | None
    form: Form
    head: frozenset[str]

    def __post_init__(self) -> None:
        """Mark the parameters of the head, whose learning rate may differ."""
        for name in self.head:
            self.model.get_parameter(name).task_head = True

    @property
    def anatomy(self) -> Anatomy:
        """The blocks of the model in its current state."""
        return anatomy_of(self.model)

    @property
    def family(self) -> Family:
        """The family of the model."""
        return family_of(self.model.config)

    def freeze(self, *, except_head: bool = True) -> None:
        """Exclude every parameter from training.

        Args:
            except_head: Keep the parameters of the task head trainable.
        """
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(except_head and name in self.head)


def auto_class(form: Form) -> Any:
    """Return the transformers auto class whose models solve tasks in this form."""
    import transformers

    return getattr(transformers, _AUTO_CLASSES[form])


def load_weights(folder: Path, *, form: Form, **settings: Any) -> tuple[Any, dict[str, Any]]:
    """Load the weights of a folder, in fp32 and from safetensors only; nothing is downloaded.

    Args:
        folder: A folder as ``save_pretrained`` writes it.
        form: The form of the model.
        **settings: Further settings of ``from_pretrained``.

    Returns:
        The transformers model, and the report of what was loaded and what was missing.
    """
    import torch

    model, report = auto_class(form).from_pretrained(
        str(folder),
        dtype=torch.float32,
        local_files_only=True,
        use_safetensors=True,
        output_loading_info=True,
        **settings,
    )
    return model, report


def untie(model: nn.Module, name: str) -> None:
    """Replace a tied parameter by a copy of its own, and keep it untied.

    Args:
        model: A transformers model.
        name: The parameter that becomes the copy, such as ``"lm_head.weight"``.
    """
    from torch import nn

    path, _, leaf = name.rpartition(".")
    owner, weight = model.get_submodule(path), model.get_parameter(name)
    setattr(owner, leaf, nn.Parameter(weight.detach().clone(), requires_grad=weight.requires_grad))
    keep_untied(model, name)


def keep_untied(model: nn.Module, name: str) -> None:
    """Exclude a parameter from the ties that transformers restores when it loads a model."""
    for record in ("_tied_weights_keys", "all_tied_weights_keys"):
        kept = {key: source for key, source in getattr(model, record).items() if key != name}
        setattr(model, record, kept)
