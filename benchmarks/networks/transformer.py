"""A BERT-base encoder and a GPT-2-shaped decoder with a key-value cache."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

WIDTH = 768
HEADS = 12
HEAD = WIDTH // HEADS


def split_heads(x: Tensor) -> Tensor:
    """[1, tokens, WIDTH] → [1, HEADS, tokens, HEAD]"""
    return x.view(1, -1, HEADS, HEAD).transpose(1, 2)


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """Scaled dot-product attention; `mask` is added to the scores. Heads are merged."""
    scores = q @ k.transpose(-1, -2) / math.sqrt(HEAD)
    if mask is not None:
        scores = scores + mask
    return (scores.softmax(-1) @ v).transpose(1, 2).reshape(1, -1, WIDTH)


class EncoderLayer(nn.Module):
    """Post-norm (Devlin et al. 2018)."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v, self.out = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH, 1e-12), nn.LayerNorm(WIDTH, 1e-12)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        heads = attend(split_heads(self.q(x)), split_heads(self.k(x)), split_heads(self.v(x)), mask)
        x = self.norm1(x + self.out(heads))
        return self.norm2(x + self.mlp(x))


class Encoder(nn.Module):
    """Token, position and segment embeddings and 12 layers; returns the last hidden state."""

    def __init__(self, vocabulary: int = 30522, positions: int = 512) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, WIDTH)
        self.positions = nn.Embedding(positions, WIDTH)
        self.segments = nn.Embedding(2, WIDTH)
        self.norm = nn.LayerNorm(WIDTH, 1e-12)
        self.layers = nn.ModuleList(EncoderLayer() for _ in range(12))

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor) -> Tensor:
        positions = self.positions.weight[: input_ids.shape[1]]
        x = self.norm(self.tokens(input_ids) + positions + self.segments(token_type_ids))
        mask = (1.0 - attention_mask[:, None, None].float()) * -10000.0
        for layer in self.layers:
            x = layer(x, mask)
        return x


class DecoderLayer(nn.Module):
    """Pre-norm (Radford et al. 2019)."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU("tanh"), nn.Linear(4 * WIDTH, WIDTH))

    def forward(
        self, x: Tensor, mask: Tensor | None, past: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = (split_heads(part) for part in self.qkv(self.norm1(x)).split(WIDTH, 2))
        if past is not None:
            k, v = torch.cat([past[0], k], 2), torch.cat([past[1], v], 2)
        x = x + self.out(attend(q, k, v, mask))
        return x + self.mlp(self.norm2(x)), k, v


class Decoder(nn.Module):
    """Embeddings, layers and the tied output matrix; returns logits, then keys and values of every layer."""

    causal: Tensor

    def __init__(self, layers: int = 6, vocabulary: int = 50257, positions: int = 1024) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, WIDTH)
        self.positions = nn.Embedding(positions, WIDTH)
        self.layers = nn.ModuleList(DecoderLayer() for _ in range(layers))
        self.norm = nn.LayerNorm(WIDTH)
        self.register_buffer("causal", torch.full((positions, positions), -10000.0).triu(1), persistent=False)

    def forward(self, input_ids: Tensor, position_ids: Tensor, *past: Tensor) -> tuple[Tensor, ...]:
        count = input_ids.shape[1]
        mask = self.causal[:count, :count] if count > 1 else None
        x = self.tokens(input_ids) + self.positions(position_ids)
        cache: list[Tensor] = []
        for i, layer in enumerate(self.layers):
            x, key, value = layer(x, mask, (past[2 * i], past[2 * i + 1]) if past else None)
            cache += [key, value]
        return (self.norm(x) @ self.tokens.weight.T, *cache)


def initialize(model: nn.Module) -> nn.Module:
    """Normal weights of deviation 0.02, small random biases: as these networks are initialised before training."""
    for module in model.modules():
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, std=0.02)
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.bias, std=0.02)
    return model


def bert_base() -> nn.Module:
    return initialize(Encoder())


def gpt2_6_layers() -> nn.Module:
    return initialize(Decoder())
