"""How accurate quantised models are: the digits example, and MobileNetV2 where the real models are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tinyinfer
from tests.conftest import ROOT
from tests.test_quantization_static import sqnr
from tinyinfer.images import Preprocess, read_image
from tinyinfer.quantization import CalibrationMethod, quantize_static
from tinyinfer.quantization.files import read_calibration
from tinyinfer.wasm_backend.plan import Binding

DIGITS = ROOT / "examples" / "digits"
IMAGENET = {"mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375), "resize": "256"}


def outputs(session, arrays):
    (name,) = (b.name for b in session.inputs)
    (result,) = (b.name for b in session.outputs)
    return np.concatenate([session.run({name: array})[result] for array in arrays])


def test_digits_on_the_sample_pictures(tmp_path: Path) -> None:
    """All twenty right, and next to the float model's probabilities."""
    model, target = DIGITS / "digits.onnx", tmp_path / "digits.int8.onnx"
    samples = read_calibration(DIGITS / "samples", model)
    quantize_static(model, target, samples, calibrate_method=CalibrationMethod.MSE)
    arrays = [sample["image"] for sample in samples]
    exact = outputs(tinyinfer.InferenceSession(model), arrays)
    compiled = tinyinfer.compile(target)
    actual = outputs(tinyinfer.InferenceSession(compiled), arrays)
    labels = [int(path.stem.split("_")[1]) for path in sorted((DIGITS / "samples").iterdir())]
    assert actual.argmax(axis=1).tolist() == labels
    assert sqnr(exact, actual) > 40
    operators = {node.op for node in compiled.optimized[0].nodes}
    assert not {"Conv", "MatMul"} & operators, "every sum of products is one of integers"


def test_digits_lose_at_most_half_a_point(tmp_path: Path) -> None:
    """On the 360 held-out images, drawn as examples/digits/train.py draws them, calibrated on training images."""
    pytest.importorskip("torch", reason="drawing the held-out digits needs PyTorch (the extra `train`)")
    pytest.importorskip("sklearn", reason="the digits are scikit-learn's (the extra `train`)")
    pytest.importorskip("onnxscript", reason="examples/digits/train.py needs onnxscript (the extra `train`)")
    import importlib.util
    import sys

    spec = importlib.util.spec_from_file_location("digits_train", DIGITS / "train.py")
    assert spec is not None
    assert spec.loader is not None
    train = importlib.util.module_from_spec(spec)
    sys.modules["digits_train"] = train  # where its dataclasses look their types up
    spec.loader.exec_module(train)
    split = train.load_split()
    calibration = [{"image": x[None]} for x in train.draw_plain(split.train).numpy()[::14]]
    target = tmp_path / "digits.int8.onnx"
    quantize_static(DIGITS / "digits.onnx", target, calibration, calibrate_method=CalibrationMethod.MSE)
    pictures, labels = [x[None] for x in split.test_pictures.numpy()], split.test_labels.numpy()
    assert len(labels) == 360
    exact, actual = (
        np.mean(outputs(tinyinfer.InferenceSession(path), pictures).argmax(axis=1) == labels)
        for path in (DIGITS / "digits.onnx", target)
    )
    assert exact - actual <= 0.005


def augmented(paths, count, preprocess, seed):
    """Random crops of photos, mirrored at random, in the model's layout."""
    from PIL import Image

    rng = np.random.default_rng(seed)
    arrays = []
    for i in range(count):
        picture = Image.open(paths[i % len(paths)]).convert("RGB")
        side = int(min(picture.size) * rng.uniform(0.6, 1.0))
        left, top = (int(rng.integers(0, length - side + 1)) for length in picture.size)
        crop = picture.crop((left, top, left + side, top + side)).resize((224, 224), Image.Resampling.BILINEAR)
        pixels = np.asarray(crop, np.float32)[:, :: rng.choice([1, -1])]
        values = (pixels - np.float32(preprocess["mean"])) / np.float32(preprocess["std"])
        arrays.append(np.ascontiguousarray(values.transpose(2, 0, 1)[None]))
    return arrays


def test_mobilenet_keeps_its_first_choice(shared_models: Path, tmp_path: Path) -> None:
    """On the nine photos that are there, which with crops of them are also the calibration data."""
    folder = shared_models / "mobilenetv2-fp32-dequant"
    photos = sorted(p for p in (shared_models / "_media" / "imagenet").glob("*") if p.suffix in (".jpg", ".png"))
    if not (folder / "model.onnx").is_file() or not photos:
        pytest.skip(f"no mobilenetv2-fp32-dequant or no photos in {shared_models}")
    model = tinyinfer.InferenceSession(folder / "model.onnx")
    (binding,) = model.inputs
    assert isinstance(binding, Binding)
    preprocess = Preprocess.of({}, binding).with_options(**IMAGENET)
    arrays = [read_image(path, preprocess, binding) for path in photos]
    arrays += [np.load(path)["input_0"] for path in sorted(folder.glob("io_3.npz"))]  # the photo given as an array
    calibration = [{binding.name: x} for x in (*arrays, *augmented(photos, 23, IMAGENET, seed=0))]
    target = tmp_path / "int8.onnx"
    quantize_static(folder / "model.onnx", target, calibration, calibrate_method=CalibrationMethod.MSE)
    compiled = tinyinfer.compile(target)
    exact, actual = (outputs(session, arrays) for session in (model, tinyinfer.InferenceSession(compiled)))
    assert len(arrays) == 9
    assert (exact.argmax(axis=1) == actual.argmax(axis=1)).all()
    assert np.mean([sqnr(a, b) for a, b in zip(exact, actual)]) > 24
    assert len(compiled.to_bytes()) <= 0.27 * len(tinyinfer.compile(folder / "model.onnx").to_bytes())
