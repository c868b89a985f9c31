"""A ``transformers.Trainer`` that trains one stage of a method."""

from __future__ import annotations

import math
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from accelerate.data_loader import prepare_data_loader
from torch.utils.data import DataLoader
from transformers import PrinterCallback, Trainer, TrainingArguments

from sparsebench.errors import UserError
from sparsebench.training.batches import WEIGHT, LengthGrouped, sharded, weigh
from sparsebench.training.checkpoints import load_state, save_state
from sparsebench.training.label_smoothing import smoothed_loss

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor, nn
    from torch.utils.data import Sampler

    from sparsebench.method import Method, Stage
    from sparsebench.schema.training import Training
    from sparsebench.training.distributed import ProcessGroup
    from sparsebench.training.stage_callback import Span

WEIGHTS = "state.safetensors"
GROUPED = "group_by_length"


class StageTrainer(Trainer):  # type: ignore[misc]
    """A trainer of one stage, with the method's loss and optimizer.

    Args:
        method: The method.
        stage: The stage.
        group: The processes that train together.
        model: The training view.
        label_smoothing: The share of each target that all classes or tokens have together.
        data_collator: Turns rows into a batch.
        **arguments: The other arguments of ``transformers.Trainer``.
    """

    def __init__(
        self,
        *,
        method: Method,
        stage: Stage,
        group: ProcessGroup,
        model: nn.Module,
        data_collator: Callable[..., Any],
        label_smoothing: float = 0.0,
        **arguments: Any,
    ) -> None:
        has_encoder = getattr(getattr(model, "config", None), "is_encoder_decoder", False)
        self.shifts_labels = not has_encoder  # those of each token; a class has nothing to shift
        self.label_smoothing = label_smoothing
        collate = sharded(data_collator, group, shifts_labels=self.shifts_labels)
        super().__init__(model=model, data_collator=collate, **arguments)
        self.remove_callback(PrinterCallback)
        self.method = method
        self.stage = stage
        self.group = group
        self.model_accepts_loss_kwargs = False  # the loss is the mean over each micro-batch

    def get_batch_samples(
        self, epoch_iterator: Iterator[dict[str, Any]], num_batches: int, device: torch.device
    ) -> tuple[list[dict[str, Any]], Any]:
        """Return the micro-batches of one optimizer step, with their weights."""
        batches, count = super().get_batch_samples(epoch_iterator, num_batches, device)
        if batches:
            weigh(batches, self.group)
        return batches, count

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,  # noqa: FBT001, FBT002 - the Trainer's own signature
        num_items_in_batch: Any = None,
    ) -> Any:
        """Return the method's loss, weighted by the share of the batch's targets."""
        weight = inputs.pop(WEIGHT)
        if self.group.size > 1:
            with self._loss_within_forward(weight):
                return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        task_loss, outputs = super().compute_loss(
            model, inputs, return_outputs=True, num_items_in_batch=num_items_in_batch
        )
        view = self.accelerator.unwrap_model(model)
        loss = self._loss(view, inputs, outputs, task_loss, weight)
        return (loss, outputs) if return_outputs else loss

    def _loss(
        self,
        view: nn.Module,
        batch: dict[str, Any],
        outputs: Any,
        task_loss: Tensor,
        weight: Tensor,
    ) -> Tensor:
        """Return the weighted loss of a micro-batch; 0 without targets, whose mean loss is NaN."""
        if self.label_smoothing:
            task_loss = smoothed_loss(
                task_loss,
                outputs,
                batch.get("labels"),
                share=self.label_smoothing,
                shifts_labels=self.shifts_labels,
            )
        loss: object = self.method.loss(view, batch, outputs, task_loss)
        if not isinstance(loss, torch.Tensor) or loss.ndim:
            what = f"a tensor {list(loss.shape)}" if isinstance(loss, torch.Tensor) else repr(loss)
            raise UserError(f"the method's loss() returned {what:.80}: return a scalar tensor")
        return torch.where(weight > 0, loss * weight, torch.zeros_like(loss))

    @contextmanager
    def _loss_within_forward(self, weight: Tensor) -> Iterator[None]:
        """Make the model return the complete loss and nothing else.

        DistributedDataParallel derives from the outputs which parameters get a gradient, and some
        parameters are used by the method's loss only.
        """

        def total_loss(
            model: nn.Module,
            _: tuple[Any, ...],
            batch: dict[str, Any],
            outputs: Any,
        ) -> dict[str, Tensor]:
            return {"loss": self._loss(model, batch, outputs, outputs["loss"], weight)}

        handle = self.model.register_forward_hook(total_loss, with_kwargs=True)
        try:
            yield
        finally:
            handle.remove()

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """Create the method's optimizer, its learning rates scaled by the stage."""
        view = model or self.model
        made: object = self.method.optimizer(view)
        if not isinstance(made, torch.optim.Optimizer):
            raise UserError(
                f"the method's optimizer() returned {made!r:.80}: return a torch.optim.Optimizer"
            )
        for group in made.param_groups:
            if not isinstance(group.get("lr"), (int, float)):
                raise UserError(
                    "the method's optimizer() has a group without a number 'lr', which the "
                    "schedule of the suite scales"
                )
            group["lr"] *= self.stage.learning_rate
        self.optimizer: torch.optim.Optimizer = made
        return made

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Return the batches of this process: its shards of the batches of a single process."""
        if self.group.size == 1:
            loader: DataLoader[Any] = super().get_train_dataloader()
            return loader
        batches: DataLoader[Any] = DataLoader(
            self.train_dataset,
            batch_size=self.args.train_batch_size * self.group.size,
            sampler=self._get_train_sampler(self.train_dataset),
            collate_fn=self.data_collator,
            pin_memory=self.args.dataloader_pin_memory,
        )
        return prepare_data_loader(  # type: ignore[no-any-return]
            batches,
            num_processes=1,  # the collator has sharded them
            process_index=0,
            use_seedable_sampler=self.accelerator.use_seedable_sampler,
            data_seed=self.args.data_seed,
        )

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int] | None:
        if self.args.train_sampling_strategy != GROUPED:
            sampler: Sampler[int] | None = super()._get_train_sampler(train_dataset)
            return sampler
        return LengthGrouped(
            self.train_dataset[self.args.length_column_name],
            batch_size=self.args.train_batch_size
            * self.args.gradient_accumulation_steps
            * self.group.size,
            seed=self.args.data_seed,
        )

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:  # noqa: ARG002
        folder = Path(output_dir or self.args.output_dir)
        save_state(self.model, folder / WEIGHTS)

    def _load_from_checkpoint(
        self, resume_from_checkpoint: str, model: nn.Module | None = None
    ) -> None:
        load_state(model or self.model, Path(resume_from_checkpoint) / WEIGHTS)


def stage_arguments(
    training: Training,
    *,
    method: Method,
    span: Span,
    folder: Path,
    seed: int,
    precision: str,
    devices: int,
) -> TrainingArguments:
    """Return the Trainer's arguments for one stage."""
    micro = training.micro_batch(devices)
    schedule = {"constant": "constant_with_warmup"}.get(training.schedule, training.schedule)
    return TrainingArguments(
        output_dir=str(folder),
        max_steps=span.steps,
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=training.batch_size // (micro * devices),
        learning_rate=method.config.learning_rate,
        weight_decay=method.config.weight_decay,
        lr_scheduler_type=schedule,
        warmup_steps=math.ceil(training.warmup * span.steps),
        max_grad_norm=training.clip or 0.0,
        bf16=precision == "bf16",
        fp16=precision == "fp16",
        train_sampling_strategy=GROUPED if training.group_by_length else "random",
        length_column_name="length",
        logging_steps=max(1, span.total // 50),
        logging_nan_inf_filter=False,
        save_strategy="steps" if training.checkpoint_every else "no",
        save_steps=training.checkpoint_every or 500,
        save_total_limit=1,
        seed=seed,
        data_seed=seed,
        report_to=list(training.report_to) or "none",
        use_cpu=not torch.cuda.is_available(),
        ddp_find_unused_parameters=True,  # a method may use different parameters in different steps
        ddp_broadcast_buffers=True,
        remove_unused_columns=False,
        label_names=["labels"],
        dataloader_num_workers=0,
        dataloader_pin_memory=torch.cuda.is_available(),
        disable_tqdm=True,
        log_level="error",
    )
