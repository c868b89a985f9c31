"""Methods that are broken on purpose, each in one way; all else is as in ``Sound``."""

from __future__ import annotations

import os
import random
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from pydantic import ConfigDict, field_serializer
from sound_method import Sound, SoundConfig
from torch import nn

from sparsebench import Backbone, Family, Form, Method, Role, Stage, TrainingData
from sparsebench.models import anatomy_of
from sparsebench.sparsity import keep_highest, remask

if TYPE_CHECKING:
    from torch import Tensor


def norms(model: nn.Module) -> list[nn.Module]:
    return [module for module in model.modules() if "Norm" in type(module).__name__]


def trained(model: nn.Module) -> list[nn.Parameter]:
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


class UndescribedSetting(Sound):
    class Config(SoundConfig):
        rank: int = 3


class RoundsItsSettings(Sound):
    class Config(SoundConfig):
        sparsity: float = 0.25
        """Share of the weights."""

        @field_serializer("sparsity")
        def _shorten(self, value: float) -> float:
            return round(value, 1)


class TakesAnySetting(Sound):
    class Config(SoundConfig):
        model_config = ConfigDict(extra="ignore")


class TakesAnyValue(Sound):
    class Config(SoundConfig):
        mode: Any = "fast"
        """Anything."""


class SharesNotAll(Sound):
    def stages(self) -> tuple[Stage, ...]:
        return Stage("tune", 0.5), Stage("retune", 0.4)


class TwinStages(Sound):
    def stages(self) -> tuple[Stage, ...]:
        return Stage("tune", 0.5), Stage("tune", 0.5)


class FailsOnT5(Sound):
    def prepare(self, backbone: Backbone) -> nn.Module:
        if backbone.family == Family.T5:
            raise AttributeError("'T5Model' object has no attribute 'encoder.layer'")
        return super().prepare(backbone)


class RefusesWithoutReason(Sound):
    def refuses(self, family: Family, form: Form) -> str | None:
        return "" if family == Family.T5 else None


class StartsElsewhere(Sound):
    def prepare(self, backbone: Backbone) -> nn.Module:
        model = super().prepare(backbone)
        for norm in norms(model):
            norm.weight.data.mul_(1.5)
        return model


class ForgetsAGroup(Sound):
    def parameter_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        return [{"params": trained(model)[1:]}]


class TrainsTheFrozen(Sound):
    def parameter_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        return [{"params": list(model.parameters())}]


class NeverMoves(Sound):
    def parameter_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        first, *rest = trained(model)
        return [{"params": [first], "lr": 0.0}, {"params": rest}]


class MovesTheFrozen(Sound):
    def before_step(self, model: nn.Module, progress: float) -> None:
        super().before_step(model, progress)
        frozen = [p for p in model.parameters() if not p.requires_grad]
        frozen[0].data.add_(1e-3)


class DetachedPenalty(Sound):
    def penalty(self, model: nn.Module) -> Tensor | None:
        penalty = super().penalty(model)
        return None if penalty is None else penalty.detach()


class PenaltyWithBadGradient(Sound):
    over = False

    def before_step(self, model: nn.Module, progress: float) -> None:
        super().before_step(model, progress)
        self.over = progress > 0.8

    def penalty(self, model: nn.Module) -> Tensor | None:
        first = trained(model)[0]
        return ((first - first.detach()).square().sum() + (not self.over)).sqrt()


class ShipsSomethingElse(Sound):
    def deploy(self, model: nn.Module) -> nn.Module:
        for norm in norms(model):
            norm.weight.data.mul_(1.1)
        return super().deploy(model)


class LeavesAHook(Sound):
    def prepare(self, backbone: Backbone) -> nn.Module:
        norms(backbone.model)[0].register_forward_hook(lambda *_: None)
        return super().prepare(backbone)


class LeavesATensorHook(Sound):
    def prepare(self, backbone: Backbone) -> nn.Module:
        model = super().prepare(backbone)
        trained(model)[0].register_hook(lambda gradient: gradient)
        return model


class LeavesAForward(Sound):
    def prepare(self, backbone: Backbone) -> nn.Module:
        model = super().prepare(backbone)
        norm = norms(model)[0]
        vars(norm)["forward"] = norm.forward
        return model


class Wrapper(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, inputs: Tensor) -> Tensor:
        output: Tensor = self.inner(inputs)
        return output


class LeavesAWrapper(Sound):
    def prepare(self, backbone: Backbone) -> nn.Module:
        model = super().prepare(backbone)
        path = next(path for path, module in model.named_modules() if module is norms(model)[0])
        model.set_submodule(path, Wrapper(norms(model)[0]))
        return model


class ShipsAnAdapter(Method):
    def prepare(self, backbone: Backbone) -> nn.Module:
        from peft import LoraConfig

        from sparsebench.models import attach_adapter

        paths = [matrix.path for matrix in backbone.anatomy.matrices(Role.FFN_OUT)]
        return attach_adapter(backbone.model, LoraConfig(target_modules=paths))


class ChangesWhatNoFileTells(Sound):
    def begin_stage(self, model: nn.Module, stage: Stage, data: TrainingData) -> None:
        for norm in norms(model):
            for name in {"eps", "variance_epsilon"} & set(vars(norm)):
                setattr(norm, name, 0.5)


class PrunesOneMore(Sound):
    def before_step(self, model: nn.Module, progress: float) -> None:
        remask(model, sparsity=self.schedule.at(progress) * 1.01)

    def deploy(self, model: nn.Module) -> nn.Module:
        remask(model, sparsity=self.config.sparsity * 1.01)
        from sparsebench.sparsity import prune

        prune(model)
        return model


class LetsTheOptimizerBack(Method):
    """Zeroes weights in place, and lets every optimizer step move them again."""

    Config = SoundConfig
    target_sparsity = 0.5

    def prepare(self, backbone: Backbone) -> nn.Module:
        model: nn.Module = backbone.model
        return model.requires_grad_(requires_grad=True)

    def is_final(self, progress: float) -> bool:
        return progress >= 0.5

    @torch.no_grad()
    def before_step(self, model: nn.Module, progress: float) -> None:
        if self.is_final(progress):
            for matrix in anatomy_of(model).matrices():
                weight = matrix.weight(model)
                weight.mul_(keep_highest([weight.abs()], sparsity=0.5)[0])


class CountsSteps(Sound):
    """Reaches its sparsity after 7 steps, however long the run is."""

    def prepare(self, backbone: Backbone) -> nn.Module:
        model = super().prepare(backbone)
        first = next(module for module in model.modules() if hasattr(module, "mask"))
        first.register_buffer("steps", torch.tensor(0))
        return model

    def before_step(self, model: nn.Module, progress: float) -> None:
        steps = next(buffer for name, buffer in model.named_buffers() if name.endswith("steps"))
        remask(model, sparsity=self.config.sparsity * min(1.0, int(steps) / 7))
        steps.add_(1)

    def is_final(self, progress: float) -> bool:
        return progress > 0.95

    def deploy(self, model: nn.Module) -> nn.Module:
        from sparsebench.sparsity import prune

        prune(model)
        return model


class DrawsFromNowhere(Sound):
    def before_step(self, model: nn.Module, progress: float) -> None:
        super().before_step(model, progress)
        trained(model)[0].data.add_(int.from_bytes(os.urandom(2)) / 2**20)


class RemembersTheFirstRun(Sound):
    first: ClassVar[dict[str, dict[str, Tensor]]] = {}

    def before_step(self, model: nn.Module, progress: float) -> None:
        super().before_step(model, progress)
        if progress == 1:
            state = {name: value.clone() for name, value in model.state_dict().items()}
            model.load_state_dict(self.first.setdefault(type(model).__name__, state))


class KeepsStateToItself(Sound):
    seen: int = 0

    def before_step(self, model: nn.Module, progress: float) -> None:
        super().before_step(model, progress)
        self.seen += 1
        trained(model)[0].data.add_(1e-3 * self.seen)


class Branch(nn.Module):
    """Adds an update in place, which autocast does not know of."""

    def __init__(self, inner: nn.Module, rows: int, columns: int) -> None:
        super().__init__()
        self.inner = inner
        self.update = nn.Parameter(torch.zeros(columns, rows))

    def forward(self, inputs: Tensor) -> Tensor:
        output: Tensor = self.inner(inputs)
        flat = output.flatten(0, -2).addmm_(inputs.flatten(0, -2), self.update)
        return flat.view_as(output)


class FailsUnderAutocast(Method):
    def prepare(self, backbone: Backbone) -> nn.Module:
        model: nn.Module = backbone.model
        backbone.freeze()
        self.matrices = list(backbone.anatomy.matrices(Role.FFN_OUT))
        for matrix in self.matrices:
            branch = Branch(matrix.module(model), *matrix.weight(model).shape)
            model.set_submodule(matrix.path, branch)
        return model

    @torch.no_grad()
    def deploy(self, model: nn.Module) -> nn.Module:
        for matrix in self.matrices:
            branch: Any = matrix.module(model)
            model.set_submodule(matrix.path, branch.inner)
            matrix.weight(model).add_(branch.update.T)
        return model


class SetsTheEnvironment(Sound):
    def before_step(self, model: nn.Module, progress: float) -> None:
        super().before_step(model, progress)
        os.environ["MY_METHOD_PROGRESS"] = str(progress)


class SilencesWarnings(Sound):
    def prepare(self, backbone: Backbone) -> nn.Module:
        warnings.simplefilter("once")
        return super().prepare(backbone)


class Reseeds(Sound):
    def before_step(self, model: nn.Module, progress: float) -> None:
        super().before_step(model, progress)
        torch.manual_seed(0)


class ReseedsPython(Sound):
    def deploy(self, model: nn.Module) -> nn.Module:
        random.seed(0)
        return super().deploy(model)


class TurnsGradientsOff(Sound):
    def deploy(self, model: nn.Module) -> nn.Module:
        torch.set_grad_enabled(False)
        return super().deploy(model)


class HooksAllModules(Sound):
    def begin_stage(self, model: nn.Module, stage: Stage, data: TrainingData) -> None:
        torch.nn.modules.module.register_module_forward_hook(lambda *_: None)


class MovesElsewhere(Sound):
    def deploy(self, model: nn.Module) -> nn.Module:
        os.chdir(Path(__file__).parent)
        return super().deploy(model)


class ChangesTheDefaultType(Sound):
    def deploy(self, model: nn.Module) -> nn.Module:
        torch.set_default_dtype(torch.float64)
        return super().deploy(model)


class ForgetsToReturn(Sound):
    """Its deploy does what it should, and returns nothing."""

    def deploy(self, model: nn.Module) -> nn.Module:
        super().deploy(model)
        return None  # type: ignore[return-value]


class MuteError(Exception):
    """An error whose message cannot be read."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


class RaisesWithoutWords(Sound):
    def before_step(self, model: nn.Module, progress: float) -> None:
        raise MuteError


class ExitsThePython(Sound):
    def prepare(self, backbone: Backbone) -> nn.Module:
        raise SystemExit(3)


class RefusesWithAnError(Sound):
    def refuses(self, family: Family, form: Form) -> str | None:
        raise MuteError


class PenaltyWithoutTensor(Sound):
    def penalty(self, model: nn.Module) -> Tensor | None:
        return 0.5  # type: ignore[return-value]


class LooksLater(Sound):
    """It keeps the training data, and takes examples that no step pays for."""

    def begin_stage(self, model: nn.Module, stage: Stage, data: TrainingData) -> None:
        super().begin_stage(model, stage, data)
        self.data = data

    def before_step(self, model: nn.Module, progress: float) -> None:
        super().before_step(model, progress)
        if progress > 0:
            next(iter(self.data.batches(1)))


class LearnsFromEvaluation(Sound):
    """A buffer of a running mean is updated by each forward pass, in evaluation too."""

    def prepare(self, backbone: Backbone) -> nn.Module:
        model = super().prepare(backbone)
        norm = norms(model)[0]
        norm.register_buffer("seen", torch.zeros(()))

        def see(module: Any, *_: object) -> None:
            module.seen.add_(1)

        self.hook = norm.register_forward_hook(see)
        return model

    def deploy(self, model: nn.Module) -> nn.Module:
        self.hook.remove()
        del norms(model)[0].seen
        return super().deploy(model)


class HoardingAdam(torch.optim.AdamW):
    """Its momentum is outside of its state."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.last: dict[Any, Tensor] = {}

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            for parameter in (p for p in group["params"] if p.grad is not None):
                now = parameter.grad.clone()
                parameter.grad.add_(self.last.get(parameter, torch.zeros_like(now)))
                self.last[parameter] = now
        return super().step(closure)


class OptimizerKeepsStateToItself(Sound):
    def optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        config = self.config
        return HoardingAdam(self.parameter_groups(model), lr=config.learning_rate)


class LossWithBadGradient(PenaltyWithBadGradient):
    def penalty(self, model: nn.Module) -> Tensor | None:
        return None

    def loss(self, model: nn.Module, batch: Any, outputs: Any, task_loss: Tensor) -> Tensor:
        more = super().penalty(model)
        return task_loss if more is None else task_loss + more


class TaughtConfig(SoundConfig):
    teacher: str = "full"
    """The teacher."""


class TeachesItsTeacher(Sound):
    Config = TaughtConfig

    def before_step(self, model: nn.Module, progress: float) -> None:
        super().before_step(model, progress)
        with torch.no_grad():
            for own, given in zip(model.parameters(), self.teacher.parameters(), strict=False):
                given.lerp_(own.mean(), 0.01)


class WakesItsTeacher(Sound):
    Config = TaughtConfig

    def prepare(self, backbone: Backbone) -> nn.Module:
        self.teacher.train()
        return super().prepare(backbone)
