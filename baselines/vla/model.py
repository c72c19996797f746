"""The reference VLA: pictures, words and proprioception in; a chunk of actions, an answer and a heat map out.

    image (128 x 128) ─┐  conv stem, ViT     projector     ┌ visual tokens (64 + 16)
    wrist (64 x 64) ───┴─ 16-pixel patches ─────────────── ┤
    instruction ────────── word embeddings, <ask> ──────── ┼─ trunk: transformer ─ <ask>: answer, heat map, spot
    state ──────────────── linear ──────────────────────── ┤                     └ action queries: chunk, gripper
    learned ────────────── action queries ──────────────── ┘

The trunk's attention is by blocks, as in PaliGemma and pi0: visual tokens see visual tokens, words see these and the
words of their own question, the action queries see everything. What the trunk makes of a picture does therefore not
depend on the words, several questions about one picture cost little more than one, and "the visual tokens at layer l"
is well defined: they are what alignment aligns. Where a visual token lies is added to it before every layer: the
captions of pretraining ask what is in a patch and not where it is, and what is not asked for is forgotten on the way.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from oodbench.errors import OodbenchError
from vla.words import Vocabulary

STATE_FEATURES = 11
MAX_BYTES = 16 * 2**20  # of a checkpoint
MAX_PARAMETERS = 8_000_000


@dataclass(frozen=True)
class Config:
    """Sizes. image_size, wrist_size and patch in pixels; stem: channels of the stride-2 convolutions, as many as halve
    a patch to one; chunk: actions a query round; binary_gripper: whether gripper commands are only ever -1 or +1."""

    width: int = 128
    heads: int = 4
    mlp: int = 3
    encoder_layers: int = 2
    trunk_layers: int = 4
    stem: tuple[int, ...] = (16, 32, 64, 96)
    image_size: int = 128
    wrist_size: int = 64
    chunk: int = 8
    longest: int = 32
    binary_gripper: bool = True
    vocabulary: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()

    @property
    def patch(self) -> int:
        return 2 ** len(self.stem)

    @property
    def image_grid(self) -> int:
        return self.image_size // self.patch

    @property
    def wrist_grid(self) -> int:
        return self.wrist_size // self.patch

    @property
    def visual_tokens(self) -> int:
        return self.image_grid**2 + self.wrist_grid**2


@dataclass
class Output:
    """What a forward pass gives; B pictures, K questions each, d wide.

    answer: (B, K, answers) logits. heat: (B, K, visual tokens) logits, the picture's patches first, row by row. spot:
    (B, K, 2, 2), across and down in the picture and in the wrist picture, as shares of their sides.
    visual: (B, visual tokens, d), what the trunk made of them; the answers' head reads from each what is in its patch.
    motion: (B, chunk, 6), gripper: (B, chunk) logits of closing; both None unless it was asked to act.
    hidden: on request, what enters the trunk and what leaves each of its layers, (B, tokens, d), visual tokens first.
    attention: on request, of each trunk layer, (B, heads, tokens, tokens).
    """

    answer: Tensor
    heat: Tensor
    spot: Tensor
    visual: Tensor
    motion: Tensor | None = None
    gripper: Tensor | None = None
    hidden: list[Tensor] = field(default_factory=list)
    attention: list[Tensor] = field(default_factory=list)


class Block(nn.Module):
    """A pre-norm transformer layer."""

    def __init__(self, width: int, heads: int, mlp: int) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.before_mlp = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, mlp * width), nn.GELU(), nn.Linear(mlp * width, width))

    def forward(self, x: Tensor, mask: Tensor | None = None, weights: list[Tensor] | None = None) -> Tensor:
        """x: (B, n, d); mask: (B, 1, n, n), True where attention is allowed; weights: collects the attention."""
        b, n, d = x.shape
        q, k, v = self.qkv(self.before_attention(x)).view(b, n, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        if weights is None:
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        else:
            scores = q @ k.transpose(-1, -2) / (d // self.heads) ** 0.5
            if mask is not None:
                scores = scores.masked_fill(~mask, float("-inf"))
            weights.append(scores.softmax(-1))
            y = weights[-1] @ v
        x = x + self.out(y.transpose(1, 2).reshape(b, n, d))
        return x + self.mlp(self.before_mlp(x))


class Encoder(nn.Module):
    """A ViT with a convolutional stem (arXiv 2106.14881): (B, 3, s, s) in [0, 1] to (B, (s / patch)^2, d)."""

    def __init__(self, width: int, heads: int, mlp: int, layers: int, stem: tuple[int, ...]) -> None:
        super().__init__()
        parts: list[nn.Module] = []
        for before, after in zip((3, *stem), stem, strict=False):
            parts += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.GroupNorm(8, after), nn.SiLU()]
        self.stem = nn.Sequential(*parts, nn.Conv2d(stem[-1], width, 1))
        self.stem.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.blocks = nn.ModuleList(Block(width, heads, mlp) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, pictures: Tensor, positions: Tensor) -> Tensor:
        """positions: (patches, d), added to the patches."""
        pictures = (pictures * 4.0 - 2.0).contiguous(memory_format=torch.channels_last)  # twice as fast on a CPU
        x = self.stem(pictures).flatten(2).transpose(1, 2) + positions
        for block in self.blocks:
            x = block(x)
        return self.norm(x)


class VLA(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = c = config
        d = c.width
        self.encoder = Encoder(d, c.heads, c.mlp, c.encoder_layers, c.stem)
        self.image_positions = nn.Parameter(grid_positions(c.image_grid, d))
        self.wrist_positions = nn.Parameter(grid_positions(c.wrist_grid, d))
        self.projector = nn.Sequential(nn.Linear(d, d), nn.GELU(), nn.Linear(d, d))
        self.places = nn.Parameter(
            torch.cat([grid_positions(side, d) + 0.5 * torch.randn(d) for side in (c.image_grid, c.wrist_grid)])
        )  # of the visual tokens and of their cameras, given to every layer of the trunk
        self.words = nn.Embedding(len(c.vocabulary), d, padding_idx=0)
        self.word_positions = nn.Parameter(0.02 * torch.randn(c.longest, d))
        self.ask = nn.Parameter(0.02 * torch.randn(d))
        self.state = nn.Sequential(nn.Linear(STATE_FEATURES, d), nn.SiLU(), nn.Linear(d, d))
        self.queries = nn.Parameter(0.02 * torch.randn(c.chunk, d))
        self.trunk = nn.ModuleList(Block(d, c.heads, c.mlp) for _ in range(c.trunk_layers))
        self.norm = nn.LayerNorm(d)
        self.answer = nn.Linear(d, len(c.answers))
        self.pointer = nn.Linear(d, d)
        self.spot = nn.Linear(d, 4)
        self.action = nn.Sequential(nn.Linear(d, d), nn.SiLU(), nn.Linear(d, 7))
        nn.init.normal_(self.words.weight, std=0.02)

    @property
    def vocabulary(self) -> Vocabulary:
        return Vocabulary(self.config.vocabulary)

    def see(self, image: Tensor, wrist_image: Tensor) -> Tensor:
        """(B, 3, size, size) and (B, 3, wrist size, wrist size) in [0, 1] to visual tokens (B, v, d)."""
        tokens = [self.encoder(image, self.image_positions), self.encoder(wrist_image, self.wrist_positions)]
        return self.projector(torch.cat(tokens, 1))

    def forward(
        self,
        image: Tensor,
        wrist_image: Tensor,
        words: Tensor,
        state: Tensor | None = None,
        *,
        hidden: bool = False,
        attention: bool = False,
    ) -> Output:
        """image, wrist_image: as `see`. words: (B, K, t) of the vocabulary, 0 for padding. state: (B, 8) as an
        observation has it; given, the model acts, and K must be 1."""
        visual = self.see(image, wrist_image)
        return self.think(visual, words, state, hidden=hidden, attention=attention)

    def think(
        self, visual: Tensor, words: Tensor, state: Tensor | None, *, hidden: bool = False, attention: bool = False
    ) -> Output:
        b, v, d = visual.shape
        _, k, t = words.shape
        text = self.words(words) + self.word_positions[:t]
        text = torch.cat([text, self.ask.expand(b, k, 1, d)], 2).flatten(1, 2)
        parts = [visual, text]
        if state is not None:
            parts += [self.state(state_features(state))[:, None], self.queries.expand(b, -1, -1)]
        x = torch.cat(parts, 1)
        mask = self._mask(words, v, x.shape[1])
        kept = [x]
        weights: list[Tensor] | None = [] if attention else None
        places = F.pad(self.places, (0, 0, 0, x.shape[1] - v))
        for block in self.trunk:
            x = block(x + places, mask, weights)
            if hidden:
                kept.append(x)
        x = self.norm(x)
        ask = x[:, v : v + k * (t + 1)].view(b, k, t + 1, d)[:, :, -1]
        output = Output(
            answer=self.answer(ask),
            heat=self.pointer(ask) @ x[:, :v].transpose(1, 2) / d**0.5,
            spot=self.spot(ask).unflatten(-1, (2, 2)) + 0.5,
            visual=x[:, :v],
            hidden=kept if hidden else [],
            attention=weights or [],
        )
        if state is not None:
            action = self.action(x[:, -self.config.chunk :])
            output.motion, output.gripper = action[..., :6], action[..., 6]
        return output

    @staticmethod
    def _mask(words: Tensor, v: int, n: int) -> Tensor:
        """(B, 1, n, n): who sees whom, by blocks (see the top of this file)."""
        b, k, t = words.shape
        real = torch.cat([words != 0, torch.ones_like(words[..., :1], dtype=torch.bool)], 2).flatten(1)  # with <ask>
        question = torch.arange(k, device=words.device).repeat_interleave(t + 1)
        end = v + k * (t + 1)
        mask = torch.zeros(b, n, n, dtype=torch.bool, device=words.device)
        mask[:, :, :v] = True
        mask[:, v:end, v:end] = (question[:, None] == question) & real[:, None]
        mask[:, end:, v:end] = real[:, None]
        mask[:, end:, end:] = True
        return mask[:, None]

    # --- files -----------------------------------------------------------------------------------------------------

    def save(self, path: Path, **facts: object) -> None:
        """One safetensors file in half precision, with the configuration and what is known of its making inside."""
        tensors = {
            name: tensor.detach().to("cpu", torch.float16).contiguous() for name, tensor in self.state_dict().items()
        }
        metadata = {"config": json.dumps(asdict(self.config)), "facts": json.dumps(facts)}
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        save_file(tensors, unfinished, metadata=metadata)
        size = unfinished.stat().st_size
        if size > MAX_BYTES:
            unfinished.unlink()
            raise OodbenchError(f"{path}: the checkpoint would take {size / 2**20:.1f} MiB, more than 16")
        unfinished.replace(path)

    @classmethod
    def load(cls, path: Path) -> VLA:
        """Raises OodbenchError when the file is missing, torn or of something else."""
        if not path.is_file():
            beside = sorted(p.name for p in path.parent.glob("*.safetensors")) if path.parent.is_dir() else []
            raise OodbenchError(f"{path}: no such checkpoint; {path.parent} has: {', '.join(beside) or 'none'}")
        try:
            with safe_open(path, "pt") as file:
                config = _config(json.loads(file.metadata()["config"]))
                tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
            model = cls(config)
            model.load_state_dict(tensors)
        except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
            raise OodbenchError(f"{path}: not a checkpoint of this model ({str(error).splitlines()[0]})") from error
        return model.eval()


def facts(path: Path) -> dict[str, Any]:
    """What a checkpoint says of its making."""
    with safe_open(path, "pt") as file:
        return json.loads(file.metadata()["facts"])


def _config(fields: dict[str, Any]) -> Config:
    known: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}
    return Config(**known)


def state_features(state: Tensor) -> Tensor:
    """(B, 8) proprioception to (B, 11) numbers of about unit size: position, two columns of the rotation, fingers."""
    angle = state[:, 3:6].norm(dim=1, keepdim=True).clamp(min=1e-6)
    x, y, z = (state[:, 3:6] / angle).unbind(1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], 1).view(-1, 3, 3)
    s, c = angle.sin()[..., None], angle.cos()[..., None]
    rotation = torch.eye(3, device=state.device) + s * cross + (1 - c) * (cross @ cross)
    place = (state[:, :3] - state.new_tensor([-0.1, 0.0, 0.15])) / 0.12
    return torch.cat([place, rotation[:, :, :2].flatten(1), state[:, 6:] / 0.04], 1)


def grid_positions(side: int, width: int) -> Tensor:
    """(side * side, width): sines and cosines of row and column. The positions that patches begin with.

    They are learned from there.
    """
    rates = 100.0 ** -torch.linspace(0, 1, width // 4)
    angles = torch.arange(side)[:, None] * rates * torch.pi / 2
    waves = torch.cat([angles.sin(), angles.cos()], 1)  # (side, width / 2)
    rows, columns = waves[:, None].expand(-1, side, -1), waves[None].expand(side, -1, -1)
    return torch.cat([rows, columns], 2).reshape(side * side, width)


def pixels(pictures: Tensor) -> Tensor:
    """(B, s, s, 3) uint8 to (B, 3, s, s) in [0, 1]."""
    return pictures.permute(0, 3, 1, 2).float() / 255.0


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())
