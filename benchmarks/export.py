"""Make the ONNX file, the feeds and the expected outputs of a model; cached below `benchmarks/.cache/`.

PyTorch makes weights and expected outputs of our own networks; for an ONNX file of the checkout ONNX's reference
evaluator computes the outputs. Either way they are independent of every runtime that is measured.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import logging
import shutil
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.models import MODELS, ROOT, Feeds, Model
from tinyinfer.errors import TinyInferError
from tinyinfer.quantization import quantize_static
from tinyinfer.types import Array

CACHE = Path(__file__).resolve().parent / ".cache"
SEED = 20260101
OPSET = 20
CALIBRATION = 4
"""Samples that a quantised model's ranges are taken from."""


def export(model: Model) -> Path:
    """The folder of `model`, made when it is missing or its sources have changed.

    It holds `model.onnx`, `feeds/<input>.bin`, `expected/<output>.bin` (raw little-endian, row-major) and
    `tensors.json`, which gives their element types and shapes.
    """
    folder = CACHE / model.name
    feeds = model.feeds(np.random.default_rng(SEED))
    key = _key(model, feeds)
    if (folder / "key").is_file() and (folder / "key").read_text() == key:
        return folder
    CACHE.mkdir(exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=CACHE, prefix=f".{model.name}."))
    try:
        _make(model, feeds, scratch)
        (scratch / "key").write_text(key)
        shutil.rmtree(folder, ignore_errors=True)
        scratch.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return folder


def read_tensors(folder: Path, kind: str) -> dict[str, Array]:
    """The `feeds` or the `expected` outputs of an exported model."""
    described = json.loads((folder / "tensors.json").read_text())[kind]
    return {
        name: np.fromfile(folder / kind / f"{name}.bin", dtype).reshape(shape)
        for name, (dtype, shape) in described.items()
    }


def _key(model: Model, feeds: Feeds) -> str:
    """Changes with everything that the files of `model` depend on."""
    here = Path(__file__).parent
    sources = [ROOT / model.source] if model.source.endswith(".onnx") else sorted((here / "networks").glob("*.py"))
    if model.quantized:
        sources += sorted((ROOT / "tinyinfer" / "quantization").glob("*.py"))
    digest = hashlib.sha256(model.source.encode())
    for path in [*sources, here / "export.py"]:
        digest.update(path.read_bytes())
    for name, array in feeds.items():
        digest.update(f"{name} {array.dtype} {array.shape}".encode() + array.tobytes())
    return digest.hexdigest()


def _make(model: Model, feeds: Feeds, folder: Path) -> None:
    target = folder / "model.onnx"
    if model.quantized:
        _quantize(export(MODELS[model.source]), model, target)
        expected = _evaluate(target, feeds)
    elif model.source.endswith(".onnx"):
        shutil.copy(ROOT / model.source, target)
        expected = _evaluate(target, feeds)
    else:
        expected = _export_network(model, feeds, target)
    described = {kind: _write(folder / kind, arrays) for kind, arrays in (("feeds", feeds), ("expected", expected))}
    (folder / "tensors.json").write_text(json.dumps(described, indent=2))


def _write(folder: Path, arrays: Mapping[str, Array]) -> dict[str, Any]:
    folder.mkdir()
    for name, array in arrays.items():
        np.ascontiguousarray(array).tofile(folder / f"{name}.bin")
    return {name: [array.dtype.name, list(array.shape)] for name, array in arrays.items()}


def _quantize(floating: Path, model: Model, target: Path) -> None:
    """Random pictures as calibration: only the speed of the result counts here."""
    random = np.random.default_rng(SEED + 1)
    samples = [model.feeds(random) for _ in range(CALIBRATION)]
    quantize_static(floating / "model.onnx", target, samples, bias_correction=False)


def _evaluate(path: Path, feeds: Feeds) -> dict[str, Array]:
    from onnx.reference import ReferenceEvaluator

    evaluator = ReferenceEvaluator(str(path))
    return dict(zip(evaluator.output_names, evaluator.run(None, dict(feeds))))


def _export_network(model: Model, feeds: Feeds, target: Path) -> dict[str, Array]:
    try:
        import torch
    except ImportError as error:
        raise TinyInferError(f"{model.title} is made by PyTorch: install the extra `bench` ({error})") from None
    module, _, function = model.source.partition(":")
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it misses torchvision, which is not needed
    torch.manual_seed(SEED)
    network = getattr(importlib.import_module(f"benchmarks.networks.{module}"), function)().eval()
    arguments = tuple(torch.from_numpy(array) for array in feeds.values())
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _set_statistics(network, arguments)
        results = network(*arguments)
        torch.onnx.export(
            network,
            arguments,
            str(target),
            input_names=list(feeds),
            output_names=list(model.outputs),
            opset_version=OPSET,
            external_data=False,
            dynamo=True,
            verbose=False,
        )
    tensors = results if isinstance(results, tuple) else (results,)
    return {name: tensor.numpy() for name, tensor in zip(model.outputs, tensors, strict=True)}


def _set_statistics(network: Any, arguments: tuple[Any, ...]) -> None:
    """Give batch normalizations random scales and the statistics of the feeds, so that activations keep their size."""
    from torch import nn

    layers = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for layer in layers:
        nn.init.uniform_(layer.weight, 0.5, 1.5)
        nn.init.normal_(layer.bias, std=0.1)
        layer.momentum = None  # the statistics become those of the one pass below
    if layers:
        network.train()
        network(*arguments)
        network.eval()
