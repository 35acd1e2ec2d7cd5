"""Teaches the text encoder what captions say, before the UNet listens to it.

From what the UNet makes of a whole caption, what is asked for must be told: the kind of scene, its
colours, light and surfaces. A UNet alone teaches it colours in an hour, and no word of shape.
"""

from dataclasses import fields
from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers.models.embeddings import TextTimeEmbedding
from torch import nn
from transformers import CLIPTextModel, CLIPTokenizer

from training import draws, loop, text
from training.loop import Rng
from training.rendering import asking
from training.rendering.looks import Shown

_SURE = "kind"  # always in a caption; of the others it may say nothing
_ASIDE = 0.25  # what the others count beside it


class Reader(nn.Module):
    """A text encoder, and what tells each field of `Shown` from all its tokens.

    Args:
        encoder: of the captions.
        pooling: the UNet's, from a caption's tokens [B, LENGTH, HIDDEN] to numbers [B, D].
        values: that each field may have.
    """

    def __init__(
        self,
        encoder: CLIPTextModel,
        pooling: TextTimeEmbedding,
        values: dict[str, tuple[str | None, ...]],
    ) -> None:
        super().__init__()
        self.encoder, self.pooling, self.values = encoder, pooling, values
        width = pooling.proj.out_features
        self.heads = nn.ModuleDict({n: nn.Linear(width, len(v)) for n, v in values.items()})

    def forward(self, ids: torch.Tensor) -> dict[str, torch.Tensor]:
        """Scores [B, values] of each field for token ids [B, LENGTH]."""
        said = self.pooling(self.encoder(ids).last_hidden_state)
        return {name: head(said) for name, head in self.heads.items()}

    def places(self, shown: list[Shown]) -> dict[str, torch.Tensor]:
        """Which of its values each field has, [B] each."""
        return {
            name: torch.tensor([values.index(getattr(one, name)) for one in shown])
            for name, values in self.values.items()
        }


def values_of(shown: list[Shown]) -> dict[str, tuple[str | None, ...]]:
    """The values that each field has among the draws, in a fixed order."""
    names = [field.name for field in fields(Shown)]
    return {name: tuple(sorted({getattr(one, name) for one in shown}, key=str)) for name in names}


def teach(
    folder: Path,
    encoder: CLIPTextModel,
    pooling: TextTimeEmbedding,
    tokenizer: CLIPTokenizer,
    plan: loop.Plan,
    batch: int = 64,
) -> float:
    """Train a text encoder and a UNet's pooling in place on captions of the work folder's draws.

    Returns:
        The share of fresh captions whose kind it tells rightly.
    """
    shown = draws.shown(folder / "draws", "chosen")
    reader = Reader(encoder, pooling, values_of(shown)).to(loop.device())

    def captions(rng: Rng, count: int) -> tuple[torch.Tensor, list[Shown]]:
        picked = [shown[int(i)] for i in rng.integers(len(shown), size=count)]
        said = [asking.caption(rng, one) for one in picked]
        return text.encode(tokenizer, said).to(loop.device()), picked

    def loss_of(rng: Rng, _: int) -> torch.Tensor:
        ids, picked = captions(rng, batch)
        scores, places = reader(ids), reader.places(picked)
        losses = {n: F.cross_entropy(s, places[n].to(s.device)) for n, s in scores.items()}
        aside = torch.stack([loss for name, loss in losses.items() if name != _SURE]).sum()
        return losses[_SURE] + _ASIDE * aside

    loop.train("reading", folder, plan, reader, loss_of)
    reader.eval()
    ids, picked = captions(loop.fresh(plan.seed), 500)
    with torch.no_grad():
        told = reader(ids)[_SURE].argmax(1).cpu()
    return float((told == reader.places(picked)[_SURE]).float().mean())
