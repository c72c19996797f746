"""Aligning a VLA's visual tokens with a frozen teacher while it learns to act, for any torch model.

The method of "Don't Blind Your VLA" (arXiv 2510.25616, section 3): fine-tuning on actions wears down what a model
knows of pictures, and a cosine loss between its mid-layer visual tokens and the patch features of a frozen vision
model keeps it. It needs three lines in a training script::

    alignment = Alignment(model, layer="trunk.3", tokens=slice(0, 256), projector=random_projector(2048, 1024))
    ...
    loss = action_loss + coefficient * alignment.loss(teacher(image))   # after the model's forward pass

and nothing in the model: a forward hook reads the layer. Needs torch (`pip install oodbench[torch]`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from oodbench.errors import OodbenchError, nearest

TokenSpan = slice | Callable[[Tensor], Tensor]


class Alignment:
    """Reads the visual tokens of one layer of `model` at every forward pass, and says how far from a teacher they are.

    layer: name of a submodule, as in `model.named_modules()`, whose output is (B, tokens, d), or a tuple or an object
    with `last_hidden_state` that begins with it. tokens: which of them are visual, a slice over tokens or a function
    from (B, tokens, d) to (B, v, d). projector: from d to the teacher's width; frozen unless `train_projector`, and
    always in the state (eval or train) that this says. Raises OodbenchError for a layer that the model lacks.
    """

    def __init__(
        self,
        model: nn.Module,
        layer: str,
        tokens: TokenSpan = slice(None),
        projector: nn.Module | None = None,
        train_projector: bool = False,
    ) -> None:
        modules = dict(model.named_modules())
        if layer not in modules:
            near = nearest(layer, modules)
            raise OodbenchError(f"the model has no layer {layer!r}" + (f"; did you mean {near!r}?" if near else ""))
        self.layer, self.tokens = layer, tokens
        self.projector = projector if projector is not None else nn.Identity()
        self.projector.requires_grad_(train_projector).train(train_projector)
        self.hidden: Tensor | None = None  # (B, v, d) of the last forward pass, with its graph
        self._output: Tensor | None = None  # what they are part of
        self._hook = modules[layer].register_forward_hook(self._read)

    def loss(self, features: Tensor) -> Tensor:
        """1 - the mean cosine between projected tokens and `features`, the teacher's (B, v, d_t); a scalar in [0, 2].

        No gradient reaches the teacher. Raises OodbenchError when the shapes do not match or nothing was run.
        """
        hidden = self._last()
        projected = self.projector(hidden)
        if projected.shape != features.shape:
            raise OodbenchError(
                f"alignment at {self.layer!r}: the projected tokens are {tuple(projected.shape)}, the teacher's "
                f"features {tuple(features.shape)}; choose the token span, a projector to the"
                f" teacher's width, and match_grid"
            )
        return 1.0 - F.cosine_similarity(projected.float(), features.detach().float(), dim=-1).mean()

    def coefficient(self, action_loss: Tensor, align_loss: Tensor, ratio: float) -> float:
        """The weight that makes the alignment's gradient `ratio` times as long as the action loss's, at these tokens.

        Both losses must come from the last forward pass; their graphs are kept. 0 when one of them does not depend on
        the layer.
        """
        self._last()
        assert self._output is not None
        norms = []
        for loss in (action_loss, align_loss):
            (gradient,) = torch.autograd.grad(loss, self._output, retain_graph=True, allow_unused=True)
            norms.append(0.0 if gradient is None else float(self._span(gradient).float().norm()))
        return ratio * norms[0] / norms[1] if norms[1] > 0 else 0.0

    def parameters(self) -> Iterator[nn.Parameter]:
        """Of the projector, those to be trained: give them to the optimizer beside the model's."""
        return (p for p in self.projector.parameters() if p.requires_grad)

    def remove(self) -> None:
        """Take the hook out of the model."""
        self._hook.remove()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.remove()

    def _last(self) -> Tensor:
        if self.hidden is None:
            raise OodbenchError(f"alignment at {self.layer!r}: run the model before asking for the loss")
        return self.hidden

    def _read(self, module: nn.Module, inputs: Any, output: Any) -> None:
        tensor = getattr(output, "last_hidden_state", output)
        tensor = tensor[0] if isinstance(tensor, tuple | list) else tensor
        if not isinstance(tensor, Tensor) or tensor.ndim != 3:
            raise OodbenchError(f"alignment: layer {self.layer!r} does not give (B, tokens, d)")
        self._output, self.hidden = tensor, self._span(tensor)

    def _span(self, tensor: Tensor) -> Tensor:
        return self.tokens(tensor) if callable(self.tokens) else tensor[:, self.tokens]


def random_projector(width: int, features: int, hidden: int = 2048, seed: int = 0) -> nn.Module:
    """The paper's projector: LayerNorm and a three-layer SiLU MLP at random weights, which stays as it is.

    Its weights come from `seed` alone (the released code leaves them to chance).
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, hidden),
            nn.SiLU(),
            nn.Linear(hidden, hidden),
            nn.SiLU(),
            nn.Linear(hidden, features),
        )


def ridge_projector(tokens: Tensor, features: Tensor, penalty: float = 1e-2) -> nn.Linear:
    """The linear map from the model's tokens before fine-tuning, (n, d), that best predicts `features`, (n, d_t).

    Frozen during fine-tuning it asks the tokens to go on meaning to the teacher what they meant to begin with. penalty:
    of the ridge regression, as a share of the tokens' mean variance.
    """
    x, y = tokens.double(), features.double()
    mean_x, mean_y = x.mean(0), y.mean(0)
    x, y = x - mean_x, y - mean_y
    gram = x.T @ x
    weight = torch.linalg.solve(
        gram + penalty * gram.trace() / len(gram) * torch.eye(len(gram), device=x.device, dtype=x.dtype), x.T @ y
    )
    linear = nn.Linear(x.shape[1], y.shape[1]).to(tokens.device)
    with torch.no_grad():
        linear.weight.copy_(weight.T)
        linear.bias.copy_(mean_y - mean_x @ weight)
    return linear


def match_grid(features: Tensor, grid: int) -> Tensor:
    """A teacher's (B, g * g, d_t) patch features at the student's (B, grid * grid, d_t), bilinearly.

    The better way is to give the teacher a picture of such a size that the grids agree.
    """
    b, n, d = features.shape
    side = round(n**0.5)
    if side * side != n:
        raise OodbenchError(f"match_grid: {n} tokens are no square grid; leave class and register tokens out")
    if side == grid:
        return features
    maps = features.transpose(1, 2).reshape(b, d, side, side)
    return F.interpolate(maps, (grid, grid), mode="bilinear", antialias=True).flatten(2).transpose(1, 2)
