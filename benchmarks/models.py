"""MODELS: the table of what is measured. Weights and feeds are random, but the same every time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinyinfer.graph import Graph, Node
from tinyinfer.types import Array

ROOT = Path(__file__).resolve().parent.parent
Feeds = Mapping[str, Array]

GPT_LAYERS, GPT_HEADS, GPT_HEAD, GPT_VOCABULARY, GPT_TOKENS = 6, 12, 64, 50257, 64
BERT_VOCABULARY, BERT_TOKENS, BERT_PADDING = 30522, 128, 8


@dataclass(frozen=True)
class Model:
    """One network with one set of feeds."""

    name: str
    title: str
    feeds: Callable[[np.random.Generator], Feeds]
    source: str
    """An ONNX file of the checkout, or `module:function` below `benchmarks.networks`."""
    outputs: tuple[str, ...] = ("output",)
    """The names that a network's outputs get; an ONNX file has its own."""
    cold: bool = False
    """Whether its cold start is measured: models small enough to be loaded with a page."""
    loop: bool = False
    """Whether it runs in a loop, so that outputs can go where those of the run before are, if the runtime knows how."""
    quantized: bool = False
    """Whether `source` names a model of this table that is quantised to int8."""
    tolerance: float = 1e-3
    """How far outputs may be from the expected ones, relative to the largest of them."""


def picture(*shape: int, name: str = "input") -> Callable[[np.random.Generator], Feeds]:
    """One normalized picture or spectrogram."""
    return lambda random: {name: random.standard_normal(shape, np.float32)}


def sentence(random: np.random.Generator) -> Feeds:
    """Two segments of token ids and a mask over the padding at the end."""
    used = np.arange(BERT_TOKENS) < BERT_TOKENS - BERT_PADDING
    return {
        "input_ids": random.integers(0, BERT_VOCABULARY, (1, BERT_TOKENS)),
        "attention_mask": used.astype(np.int64)[None],
        "token_type_ids": (np.arange(BERT_TOKENS) >= BERT_TOKENS // 2).astype(np.int64)[None],
    }


def prompt(random: np.random.Generator) -> Feeds:
    """The first tokens of a text: nothing in the cache yet."""
    return {
        "input_ids": random.integers(0, GPT_VOCABULARY, (1, GPT_TOKENS)),
        "position_ids": np.arange(GPT_TOKENS)[None],
    }


def next_token(random: np.random.Generator) -> Feeds:
    """One more token, and keys and values of the tokens before it."""
    shape = (1, GPT_HEADS, GPT_TOKENS, GPT_HEAD)
    cache = {name: random.standard_normal(shape, np.float32) for name in _cache_names("past")}
    return {
        "input_ids": random.integers(0, GPT_VOCABULARY, (1, 1)),
        "position_ids": np.array([[GPT_TOKENS]]),
        **cache,
    }


def _cache_names(prefix: str) -> tuple[str, ...]:
    return tuple(f"{prefix}_{what}.{i}" for i in range(GPT_LAYERS) for what in ("key", "value"))


_DECODED = ("logits", *_cache_names("present"))

# Runtimes may differ by a quantum here and there, and later layers see it.
INT8_TOLERANCE = 0.1

_TABLE = [
    Model("mobilenetv2", "MobileNetV2 224", picture(1, 3, 224, 224), "convolutional:mobilenet_v2", cold=True),
    Model("resnet50", "ResNet-50 224", picture(1, 3, 224, 224), "convolutional:resnet50"),
    Model("yolov8n", "YOLOv8n-shaped 640", picture(1, 3, 640, 640), "detector:yolov8n"),
    Model("bert", "BERT-base, 128 tokens", sentence, "transformer:bert_base", ("last_hidden_state",)),
    Model("gpt2-prefill", "GPT-2-shaped, 6 layers, 64 tokens", prompt, "transformer:gpt2_6_layers", _DECODED),
    Model(
        "gpt2-decode",
        "GPT-2-shaped, one decode step",
        next_token,
        "transformer:gpt2_6_layers",
        _DECODED,
        loop=True,
    ),
    Model("ds-cnn", "keyword DS-CNN", picture(1, 1, 49, 10), "convolutional:keyword_ds_cnn", cold=True),
    Model("digits", "digits CNN", picture(1, 1, 28, 28, name="image"), "examples/digits/digits.onnx", cold=True),
    Model(
        "mobilenetv2-int8",
        "MobileNetV2 INT8 (QDQ)",
        picture(1, 3, 224, 224),
        "mobilenetv2",
        quantized=True,
        tolerance=INT8_TOLERANCE,
    ),
    Model(
        "resnet50-int8",
        "ResNet-50 INT8 (QDQ)",
        picture(1, 3, 224, 224),
        "resnet50",
        quantized=True,
        tolerance=INT8_TOLERANCE,
    ),
]

MODELS: dict[str, Model] = {model.name: model for model in _TABLE}


def macs(graph: Graph) -> int:
    """Multiply-accumulates of convolutions and matrix products; nothing else is counted."""
    return sum(macs_of(node) for node in graph.nodes)


def macs_of(node: Node) -> int:
    """Multiply-accumulates of one node, whose first operands are data and weights."""
    if node.op in ("Conv", "ConvInteger", "QLinearConv"):
        weights = node.operands[1]
        return node.output.type.size * (weights.type.size // weights.shape[0])
    if node.op in ("MatMul", "MatMulInteger", "QLinearMatMul"):
        return node.output.type.size * node.operands[0].shape[-1]
    return 0
