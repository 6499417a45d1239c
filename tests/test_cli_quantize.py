"""`tinyinfer quantize`, as a user meets it."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from tests.commands import cells, complete, run
from tests.small_models import adder, classifier, save

RNG = np.random.default_rng(0)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    from PIL import Image

    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(5):
        Image.fromarray(RNG.integers(0, 256, (8, 8), dtype=np.uint8)).save(folder / f"{i}.png")
    (folder / "notes.txt").write_text("not a picture")
    return folder


def types(path: Path) -> set[str]:
    return {node.op_type for node in onnx.load(path).graph.node}


def error(*arguments: str | Path) -> str:
    return run("quantize", *arguments, code=1).stderr


class TestCalibrated:
    def test_pictures(self, blots: Path, pictures: Path, tmp_path: Path) -> None:
        out = run("quantize", blots, "--calibration", pictures, "-o", tmp_path / "x.onnx").stdout
        assert "x.onnx: " in out
        assert "of the float model's" in out
        assert {"QuantizeLinear", "DequantizeLinear"} <= types(tmp_path / "x.onnx")

    def test_default_name(self, blots: Path, pictures: Path) -> None:
        run("quantize", blots, "--calibration", pictures)
        assert (blots.parent / "blots.int8.onnx").is_file()

    @pytest.mark.parametrize("key", ["image", "input_0"])
    def test_one_npz(self, blots: Path, tmp_path: Path, key: str) -> None:
        np.savez(tmp_path / "x.npz", **{key: RNG.standard_normal((7, 1, 8, 8), dtype=np.float32)})
        run("quantize", blots, "--calibration", tmp_path / "x.npz", "--method", "minmax", "--per-tensor")
        model = onnx.load(blots.parent / "blots.int8.onnx")
        assert not any(a.name == "axis" for n in model.graph.node for a in n.attribute if n.op_type != "Flatten")

    def test_one_npy_and_a_folder_of_npz_give_the_same(self, blots: Path, tmp_path: Path) -> None:
        data = RNG.standard_normal((4, 1, 8, 8), dtype=np.float32)
        np.save(tmp_path / "x.npy", data)
        (tmp_path / "folder").mkdir()
        for i, sample in enumerate(data):
            np.savez(tmp_path / "folder" / f"{i}.npz", image=sample[None])
        for place, name in ((tmp_path / "x.npy", "a.onnx"), (tmp_path / "folder", "b.onnx")):
            run("quantize", blots, "--calibration", place, "-o", tmp_path / name)
        assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()

    def test_samples_limits_what_is_read(self, blots: Path, pictures: Path) -> None:
        (pictures / "zz_broken.png").write_bytes(b"no picture")
        run("quantize", blots, "--calibration", pictures, "--samples", "5")
        assert "zz_broken.png: not a readable picture" in error(blots, "--calibration", pictures)

    def test_excluded_node(self, blots: Path, pictures: Path, tmp_path: Path) -> None:
        run("quantize", blots, "--calibration", pictures, "--exclude", "stem", "-o", tmp_path / "x.onnx")
        stem = next(n for n in onnx.load(tmp_path / "x.onnx").graph.node if n.name == "stem")
        assert stem.input[1] == "w0"

    def test_report(self, blots: Path, pictures: Path, tmp_path: Path) -> None:
        out = run("quantize", blots, "--calibration", pictures, "--report", tmp_path / "report").stdout
        assert cells(out, "stem")[:2] == ["stem", "Conv"]
        data = json.loads((tmp_path / "report" / "sensitivity.json").read_text())
        assert [layer["node"] for layer in data["layers"]] == ["stem", "body", "head"]
        assert sum(layer["share"] for layer in data["layers"]) == pytest.approx(1)
        rows = list(csv.DictReader((tmp_path / "report" / "sensitivity.csv").open()))
        assert [row["node"] for row in rows] == ["stem", "body", "head"]
        ElementTree.parse(tmp_path / "report" / "sensitivity.svg")

    def test_keep_accuracy(self, blots: Path, pictures: Path) -> None:
        out = run("quantize", blots, "--calibration", pictures, "--keep-accuracy", "0.5").stdout
        assert "layers left in float: none" in out


class TestWhatIsSaid:
    def test_what_is_assumed_of_pictures(self, blots: Path, pictures: Path) -> None:
        err = run("quantize", blots, "--calibration", pictures).stderr
        assert "pictures for 'image': 8×8 gray NCHW, stretched, value = (byte - 0) / 255" in err
        assert "Warning: mean, std, resize assumed" in err
        assert "give --mean, --std, --resize" in err

    def test_what_is_stated_is_kept_in_the_file(self, blots: Path, pictures: Path, tmp_path: Path) -> None:
        """A second quantisation, or a run, of what comes out of the first needs no options."""
        target, labels = tmp_path / "x.onnx", tmp_path / "labels.txt"
        labels.write_text("a\nb\nc\nd\n")
        options = ("--mean", "10", "--std", "2", "--resize", "crop")
        done = run("quantize", blots, "--calibration", pictures, *options, "--labels", labels, "-o", target)
        assert "assumed" not in done.stderr
        assert "value = (byte - 10) / 2" in done.stdout
        metadata = {p.key: p.value for p in onnx.load(target).metadata_props}
        assert metadata["tinyinfer.labels"] == "a\nb\nc\nd"
        assert json.loads(metadata["tinyinfer.preprocess"]) == {
            "color": "gray", "layout": "NCHW", "width": 8, "height": 8, "mean": [10.0], "std": [2.0], "resize": "crop"
        }  # fmt: skip
        done = run("run", target, pictures / "0.png")
        assert "assumed" not in done.stderr
        assert cells(done.stdout, "a")

    @pytest.mark.parametrize("mode", [["--dynamic"], ["--weight-only", "int8"]])
    def test_other_modes_state_it_too(self, blots: Path, mode: list[str]) -> None:
        run("quantize", blots, *mode, "--mean", "3")
        metadata = {p.key: p.value for p in onnx.load(blots.parent / "blots.int8.onnx").metadata_props}
        assert json.loads(metadata["tinyinfer.preprocess"])["mean"] == [3.0]
        assert metadata["tinyinfer.labels"]

    def test_accuracy(self, blots: Path, pictures: Path) -> None:
        options = ("--mean", "0", "--std", "255", "--resize", "crop", "--samples", "4")
        done = run("quantize", blots, "--calibration", pictures, *options)
        line = next(line for line in done.stdout.splitlines() if line.startswith("accuracy on 4 calibration samples: "))
        decibels = float(line.partition("SQNR ")[2].partition(" dB")[0])
        assert decibels > 15
        assert line.endswith("best class as in float for 4 of 4")
        assert "Warning" not in done.stderr

    def test_low_accuracy(self, blots: Path, pictures: Path) -> None:
        """Half of all values are cut off."""
        done = run("quantize", blots, "--calibration", pictures, "--method", "percentile", "--percentile", "51")
        assert "Warning: low (expected: 15 dB, and 90% of the best classes)" in done.stderr

    @pytest.mark.parametrize("mode", [["--dynamic"], ["--weight-only", "int8"]])
    def test_accuracy_without_calibration(self, blots: Path, mode: list[str]) -> None:
        assert "accuracy on 4 random inputs: SQNR " in run("quantize", blots, *mode).stdout

    def test_tensors_that_stay_float(self, pictures: Path, tmp_path: Path) -> None:
        """The second convolution gives nothing but zero."""
        proto = classifier()
        weights = next(t for t in proto.graph.initializer if t.name == "w1")
        weights.CopyFrom(numpy_helper.from_array(np.zeros((6, 6, 1, 1), np.float32), "w1"))
        dead = save(proto, tmp_path / "dead.onnx")
        err = run("quantize", dead, "--calibration", pictures, "--method", "minmax").stderr
        assert "left in float, since zero, or not finite, in all calibration data: c1" in err


class TestWithoutCalibration:
    def test_dynamic(self, blots: Path, tmp_path: Path) -> None:
        run("quantize", blots, "--dynamic", "-o", tmp_path / "x.onnx")
        assert {"DynamicQuantizeLinear", "ConvInteger", "MatMulInteger"} <= types(tmp_path / "x.onnx")

    def test_weights_alone(self, blots: Path) -> None:
        run("quantize", blots, "--weight-only", "int4", "--block-size", "16")
        assert "MatMulNBits" in types(blots.parent / "blots.int4.onnx")
        run("quantize", blots, "--weight-only", "int8")
        assert "DequantizeLinear" in types(blots.parent / "blots.int8.onnx")

    def test_options_that_do_not_go_together(self, blots: Path, pictures: Path, tmp_path: Path) -> None:
        for options, hint in (
            (["--dynamic", "--calibration", pictures], "--calibration"),
            (["--weight-only", "int8", "--report", tmp_path], "--report"),
            (["--dynamic", "--weight-only", "int8"], "--weight-only"),
            (["--calibration", pictures, "--block-size", "32"], "--block-size"),
            (["--calibration", pictures, "--percentile", "10"], "--percentile"),
        ):
            assert hint in run("quantize", blots, *options, code=2).stderr
        assert not list(tmp_path.glob("*.int8.onnx"))


class TestErrors:
    def test_nothing_is_written(self, blots: Path, pictures: Path, tmp_path: Path) -> None:
        before = sorted(tmp_path.iterdir())
        assert "no node 'none'" in error(blots, "--calibration", pictures, "--exclude", "none")
        assert sorted(tmp_path.iterdir()) == before

    def test_no_calibration_data(self, blots: Path, tmp_path: Path) -> None:
        assert "--calibration" in run("quantize", blots, code=2).stderr
        (tmp_path / "empty").mkdir()
        assert "empty holds no calibration data; accepted: .npz" in error(blots, "--calibration", tmp_path / "empty")
        assert "x.txt: not calibration data" in error(blots, "--calibration", tmp_path / "x.txt")
        np.savez(tmp_path / "x.npz", image=np.zeros((0, 1, 8, 8), np.float32))
        assert "x.npz holds no sample" in error(blots, "--calibration", tmp_path / "x.npz")

    def test_wrong_calibration_data(self, blots: Path, tmp_path: Path) -> None:
        np.savez(tmp_path / "x.npz", pixels=np.zeros((2, 1, 8, 8), np.float32))
        assert "unknown input 'pixels'; the model's inputs are 'image'" in error(
            blots, "--calibration", tmp_path / "x.npz"
        )
        np.savez(tmp_path / "y.npz", image=np.full((2, 1, 8, 8), np.nan, np.float32))
        assert "sample 0: input 'image' is nan" in error(blots, "--calibration", tmp_path / "y.npz")

    def test_pictures_for_two_inputs(self, pictures: Path, tmp_path: Path) -> None:
        sums = save(adder(), tmp_path / "sums.onnx")
        assert "the model has 2: a, b; give .npz files" in error(sums, "--calibration", pictures)

    def test_arrays_of_different_lengths(self, tmp_path: Path) -> None:
        sums = save(adder(), tmp_path / "sums.onnx")
        np.savez(tmp_path / "x.npz", a=np.zeros((4, 3), np.float32), b=np.zeros((2, 3), np.float32))
        assert "different numbers of samples along their first axis: a: 4, b: 2" in error(
            sums, "--calibration", tmp_path / "x.npz"
        )

    def test_a_quantised_model(self, blots: Path, pictures: Path) -> None:
        run("quantize", blots, "--calibration", pictures)
        again = error(blots.parent / "blots.int8.onnx", "--calibration", pictures)
        assert "blots.int8.onnx is quantised already" in again
        assert "give the float model" in again

    def test_unwritable_output(self, blots: Path, pictures: Path, tmp_path: Path) -> None:
        out = tmp_path / "none" / "x.onnx"
        assert "there is no folder" in error(blots, "--calibration", pictures, "-o", out)

    def test_report_that_is_a_file(self, blots: Path, pictures: Path) -> None:
        assert "expected a folder for the report" in error(blots, "--calibration", pictures, "--report", blots)

    def test_accuracy_out_of_range(self, blots: Path, pictures: Path) -> None:
        assert "the accuracy to keep is 99.0; accepted: more than 0, up to 1" in error(
            blots, "--calibration", pictures, "--keep-accuracy", "99"
        )

    def test_one_paragraph_and_no_traceback(self, blots: Path, tmp_path: Path) -> None:
        done = complete("quantize", blots, "--calibration", tmp_path / "none.npz")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == f"Error: {tmp_path / 'none.npz'}: no such file\n"
