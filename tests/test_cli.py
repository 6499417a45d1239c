"""The commands, as a user meets them: what they print, write and return."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

import tinyinfer
from tests.commands import cells, complete, run
from tests.onnx_models import model as onnx_model
from tests.onnx_models import single
from tests.small_models import LABELS, adder, save, with_metadata
from tinyinfer.wasm_backend import tinf


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    from PIL import Image

    path = tmp_path / "picture.png"
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8) * 4).save(path)
    return path


class TestProcess:
    """The command as a process of its own."""

    def test_compile_then_run(self, blots: Path, tmp_path: Path) -> None:
        target = tmp_path / "out.tinf"
        compiled = complete("compile", blots, "-o", target)
        assert (compiled.returncode, compiled.stderr) == (0, "")
        ran = complete("run", target, "--random", "3")
        assert (ran.returncode, ran.stderr) == (0, "")
        assert any(label in ran.stdout for label in LABELS)

    def test_piped_output_is_plain(self, blots: Path) -> None:
        done = complete("inspect", blots)
        assert "\x1b" not in done.stdout
        assert "Conv" in done.stdout

    def test_error_is_one_paragraph_and_no_traceback(self, tmp_path: Path) -> None:
        done = complete("verify", tmp_path / "missing.onnx")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == f"Error: {tmp_path / 'missing.onnx'}: no such file\n"

    def test_debug_shows_the_traceback(self, tmp_path: Path) -> None:
        for done in (
            complete("--debug", "verify", tmp_path / "missing.onnx"),
            complete("verify", tmp_path / "missing.onnx", TINYINFER_DEBUG="1"),
        ):
            assert done.returncode == 1
            assert "Traceback" in done.stderr
            assert "ModelError" in done.stderr

    def test_usage_error(self, blots: Path) -> None:
        assert complete("verify").returncode == 2
        assert complete("compile", blots, "--shape", "image").returncode == 2
        assert complete("nonsense").returncode == 2

    def test_output_that_cannot_show_bars(self, blots: Path) -> None:
        done = complete("run", blots, "--random", "0", PYTHONIOENCODING="ascii")
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "command", ["compile", "run", "verify", "inspect", "quantize", "bench", "bundle", "serve", "demo"]
)
def test_help_has_examples(command: str) -> None:
    text = run(command, "--help").stdout
    assert "Examples:" in text
    assert f"tinyinfer {command} " in text


class TestCompile:
    def test_writes_a_loadable_file(self, blots: Path, tmp_path: Path) -> None:
        out = run("compile", blots, "-o", tmp_path / "x.tinf").stdout
        file = tinf.decode((tmp_path / "x.tinf").read_bytes())
        assert file.name == "blots"
        assert [b.shape for b in file.plans[0].inputs] == [(1, 1, 8, 8)]
        plan = file.plans[0]
        row = cells(out, "image 1×1×8×8")
        assert row[1:3] == [str(len(plan.nodes)), str(len(plan.steps))]
        assert f"{plan.memory_bytes // 1024}.0 KiB" in row

    def test_default_name_is_beside_the_model(self, blots: Path) -> None:
        run("compile", blots)
        assert blots.with_suffix(".tinf").is_file()

    def test_tells_what_fused(self, blots: Path) -> None:
        out = run("compile", blots).stdout
        assert cells(out, "Conv") == ["Conv", "2", "2", "clamp ×2, residual ×1"]
        assert cells(out, "Clip") == ["Clip", "2", "0"]
        assert cells(out, "Add") == ["Add", "1", "0"]

    def test_without_passes_nothing_fuses(self, blots: Path) -> None:
        out = run("compile", blots, "--no-optimize").stdout
        assert cells(out, "Clip") == ["Clip", "2", "2"]
        assert cells(out, "Conv") == ["Conv", "2", "2"]

    def test_repeated_name_makes_another_plan(self, blots: Path, tmp_path: Path) -> None:
        target = tmp_path / "x.tinf"
        run("compile", blots, "-o", target, "--shape", "image=1x1x8x8", "--shape", "image=3x1x8x8")
        plans = tinf.decode(target.read_bytes()).plans
        assert [p.inputs[0].shape for p in plans] == [(1, 1, 8, 8), (3, 1, 8, 8)]

    def test_shapes_of_different_inputs_belong_together(self, tmp_path: Path) -> None:
        model = save(adder(["n", "m"]), tmp_path / "open.onnx")
        target = tmp_path / "x.tinf"
        run("compile", model, "-o", target, "--shape", "a=4x5", "--shape", "b=4x5")
        (plan,) = tinf.decode(target.read_bytes()).plans
        assert [b.shape for b in plan.inputs] == [(4, 5), (4, 5)]
        run("compile", model, "-o", target, "--shape", "a=4x5,b=4x5", "--shape", "a=2x1,b=2x1")
        assert len(tinf.decode(target.read_bytes()).plans) == 2

    @pytest.mark.parametrize("text", ["image", "=1x2", "image=1xx2", "image=1x-2", "image=axb", "image=²"])
    def test_malformed_shape(self, blots: Path, text: str) -> None:
        assert "is not of the form" in run("compile", blots, "--shape", text, code=2).stderr

    def test_open_dimension_is_named(self, tmp_path: Path) -> None:
        model = save(adder(["n", "m"]), tmp_path / "open.onnx")
        assert "--shape a=" in run("compile", model, code=1).stderr

    def test_missing_folder_is_told_before_compiling(self, tmp_path: Path) -> None:
        error = run("compile", tmp_path / "none.onnx", "-o", tmp_path / "no" / "x.tinf", code=1).stderr
        assert f"there is no folder {tmp_path / 'no'}" in error

    def test_folder_as_model(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        for command in ("compile", "verify", "inspect", "bench"):
            assert ". is a directory; expected an ONNX file" in run(command, ".", code=1).stderr

    def test_failure_leaves_nothing_behind(self, tmp_path: Path) -> None:
        broken = tmp_path / "broken.onnx"
        broken.write_bytes(b"not a model")
        (tmp_path / "out").mkdir()
        run("compile", broken, "-o", tmp_path / "out" / "x.tinf", code=1)
        assert list((tmp_path / "out").iterdir()) == []

    def test_unsupported_operators_are_listed_at_once(self, tmp_path: Path) -> None:
        from onnx import TensorProto, helper

        nodes = [helper.make_node("Det", ["x"], ["d"]), helper.make_node("NonZero", ["x"], ["y"])]
        path = save(onnx_model(nodes, {"x": (TensorProto.FLOAT, [2, 2])}, ["y"]), tmp_path / "odd.onnx")
        error = run("compile", path, code=1).stderr
        assert "Det" in error
        assert "NonZero" in error


class TestRun:
    def test_classes_with_labels(self, blots: Path, picture: Path) -> None:
        out = run("run", blots, picture).stdout
        image = np.arange(64, dtype=np.float32).reshape(1, 1, 8, 8) * 4 / np.float32(255)
        scores = tinyinfer.InferenceSession(blots).run({"image": image})["scores"][0]
        order = sorted(range(4), key=lambda i: -scores[i])
        assert [line.strip().split("  ")[0] for line in out.splitlines() if line.strip().split("  ")[0] in LABELS] == [
            LABELS[i] for i in order
        ]
        assert cells(out, LABELS[order[0]])[1] == f"{scores[order[0]]:.6g}"
        assert "█" in out

    def test_top_and_labels_file(self, blots: Path, picture: Path, tmp_path: Path) -> None:
        names = tmp_path / "names.txt"
        names.write_text("zero\none\ntwo\nthree\n")
        out = run("run", blots, picture, "--labels", names, "--top", "2").stdout
        assert sum(name in out for name in ("zero", "one", "two", "three")) == 2
        assert not any(label in out for label in LABELS)

    def test_what_is_assumed_of_pictures(self, blots: Path, picture: Path) -> None:
        err = run("run", blots, picture).stderr
        assert "pictures for 'image': 8×8 gray NCHW, stretched, value = (byte - 0) / 255" in err
        assert "Warning: mean, std, resize assumed" in err
        options = ("--mean", "10", "--std", "2", "--resize", "crop")
        done = run("run", blots, picture, *options)
        assert "assumed" not in done.stderr
        assert "8×8 gray NCHW, the largest centre, value = (byte - 10) / 2" in done.stdout

    def test_compile_writes_labels_and_preprocessing(self, blots: Path, picture: Path, tmp_path: Path) -> None:
        """What the compiled model says by itself is what options make of the ONNX model."""
        names, target = tmp_path / "names.txt", tmp_path / "x.tinf"
        names.write_text("one\ntwo\nthree\nfour\n")
        options = ("--labels", names, "--mean", "10", "--std", "2", "--resize", "crop")
        assert "Warning" not in run("compile", blots, "-o", target, *options).stderr
        by_file, by_options = run("run", target, picture), run("run", blots, picture, *options)
        assert by_file.stdout == by_options.stdout
        assert by_file.stderr == ""
        assert cells(by_file.stdout, "three")

    def test_compile_refuses_preprocessing_that_cannot_be(self, blots: Path, sums: Path, tmp_path: Path) -> None:
        error = run("compile", blots, "--mean", "1,2", "-o", tmp_path / "x.tinf", code=1).stderr
        assert "mean has 2 values; accepted: 1 or 1" in error
        error = run("compile", sums, "--mean", "1", "-o", tmp_path / "x.tinf", code=1).stderr
        assert "input 'a', float32[2, 3], does not have the shape of a picture" in error
        assert not (tmp_path / "x.tinf").exists()

    def test_labels_of_another_number(self, blots: Path, tmp_path: Path) -> None:
        names = tmp_path / "names.txt"
        names.write_text("one\ntwo\n")
        error = run("compile", blots, "-o", tmp_path / "x.tinf", "--labels", names).stderr
        assert "has 2 labels; no output has so many classes: scores 1×4" in error

    def test_several_pictures_run_in_turn(self, blots: Path, picture: Path, tmp_path: Path) -> None:
        other = tmp_path / "other.png"
        other.write_bytes(picture.read_bytes())
        out = run("run", blots, picture, other).stdout
        assert out.index(str(picture)) < out.index(str(other))
        error = run("run", blots, picture, other, "-o", tmp_path / "o.npz", code=1).stderr
        assert "takes the outputs of one run" in error

    @pytest.mark.parametrize("keys", [("a", "b"), ("input_0", "input_1")])
    def test_arrays_by_name_and_by_position(self, sums: Path, tmp_path: Path, keys: tuple[str, str]) -> None:
        source, target = tmp_path / "in.npz", tmp_path / "out.npz"
        values = [np.full((2, 3), v, np.float32) for v in (2, 5)]
        np.savez(source, **dict(zip(keys, values, strict=True)))
        out = run("run", sums, source, "-o", target).stdout
        with np.load(target) as written:
            assert written["sum"].tolist() == [[7.0] * 3] * 2
            assert written["product"].tolist() == [[10.0] * 3] * 2
        assert cells(out, "sum")[1:5] == ["float32 2×3", "7", "7", "7"]

    def test_one_file_for_each_input(self, sums: Path, tmp_path: Path) -> None:
        for name, value in (("a", 2), ("b", 5)):
            np.save(tmp_path / f"{name}.npy", np.full((2, 3), value, np.float32))
        out = run("run", sums, f"b={tmp_path / 'b.npy'}", f"a={tmp_path / 'a.npy'}").stdout
        assert cells(out, "sum")[2] == "7"

    def test_reference_and_engine_print_the_same(self, blots: Path) -> None:
        assert run("run", blots, "--random", "1").stdout == run("run", blots, "--random", "1", "--engine", "ref").stdout

    def test_shape_follows_the_given_array(self, tmp_path: Path) -> None:
        model = save(adder(["n", "m"]), tmp_path / "open.onnx")
        np.savez(tmp_path / "in.npz", a=np.ones((7, 2), np.float32), b=np.ones((7, 2), np.float32))
        assert cells(run("run", model, tmp_path / "in.npz").stdout, "sum")[1] == "float32 7×2"

    def test_the_plan_follows_the_given_array(self, tmp_path: Path) -> None:
        model = save(adder(["n", "m"]), tmp_path / "open.onnx")
        target = tmp_path / "two.tinf"
        run("compile", model, "-o", target, "--shape", "a=4x5,b=4x5", "--shape", "a=2x1,b=2x1")
        np.savez(tmp_path / "in.npz", a=np.ones((2, 1), np.float32), b=np.ones((2, 1), np.float32))
        assert cells(run("run", target, tmp_path / "in.npz").stdout, "sum")[1] == "float32 2×1"

    def test_fill(self, sums: Path) -> None:
        assert cells(run("run", sums, "--fill", "3").stdout, "product")[2:5] == ["9", "9", "9"]

    def test_normalization_options(self, blots: Path, picture: Path, tmp_path: Path) -> None:
        target = tmp_path / "o.npz"
        run("run", blots, picture, "--mean", "10", "--std", "2", "-o", target)
        image = (np.arange(64, dtype=np.float32).reshape(1, 1, 8, 8) * 4 - 10) / 2
        expected = tinyinfer.InferenceSession(blots).run({"image": image})["scores"]
        with np.load(target) as written:
            assert written["scores"].tobytes() == expected.tobytes()

    def test_missing_input_is_named(self, sums: Path) -> None:
        error = run("run", sums, code=1).stderr
        assert "no value for a: float32[2, 3], b: float32[2, 3]" in error
        assert "--random" in error

    def test_unknown_input_is_named(self, sums: Path, tmp_path: Path) -> None:
        error = run("run", sums, "c=x.npy", code=1).stderr
        assert "unknown input 'c'; the model's inputs are a, b" in error
        np.savez(tmp_path / "in.npz", a=np.zeros((2, 3), np.float32), z=np.zeros(1, np.float32))
        assert "unknown input 'z'" in run("run", sums, tmp_path / "in.npz", "--fill", "0", code=1).stderr

    def test_wrong_type_is_named(self, sums: Path, tmp_path: Path) -> None:
        np.savez(tmp_path / "in.npz", a=np.zeros((2, 3)), b=np.zeros((2, 3)))
        assert "input 'a' is float64; expected float32" in run("run", sums, tmp_path / "in.npz", code=1).stderr

    @pytest.mark.parametrize(
        ("name", "content", "message"),
        [
            ("x.npz", b"PK not a zip", "not a readable .npz or .npy file"),
            ("x.npy", b"", "not a readable .npz or .npy file"),
            ("x.png", b"no picture", "not a readable picture"),
            ("x.txt", b"1 2 3", "not an input; accepted: .npz, .npy and pictures"),
        ],
    )
    def test_unreadable_input(self, blots: Path, tmp_path: Path, name: str, content: bytes, message: str) -> None:
        path = tmp_path / name
        path.write_bytes(content)
        error = run("run", blots, path, code=1).stderr
        assert str(path) in error
        assert message in error

    def test_picture_for_an_input_that_is_none(self, sums: Path, picture: Path) -> None:
        error = run("run", sums, picture, "--fill", "0", code=1).stderr
        assert "input 'a', float32[2, 3], does not have the shape of a picture" in error

    def test_compiled_model_has_no_reference(self, blots: Path, tmp_path: Path) -> None:
        run("compile", blots, "-o", tmp_path / "x.tinf")
        error = run("run", tmp_path / "x.tinf", "--random", "0", "--engine", "ref", code=1).stderr
        assert "give the .onnx file" in error

    def test_compiled_model_that_is_not_there(self, tmp_path: Path) -> None:
        path = tmp_path / "none.tinf"
        for command in ("run", "bench", "inspect"):
            assert f"{path}: cannot be read: " in run(command, path, code=1).stderr

    def test_truncated_model(self, blots: Path, tmp_path: Path) -> None:
        path = tmp_path / "x.tinf"
        run("compile", blots, "-o", path)
        path.write_bytes(path.read_bytes()[:-10])
        assert f"{path}: not a TinyInfer model, or truncated" in run("run", path, "--random", "0", code=1).stderr


class TestVerify:
    def test_identical(self, blots: Path) -> None:
        out = run("verify", blots).stdout
        assert cells(out, "Conv")[-1] == "✓ identical"
        assert "bit-identical on wasmtime" in out
        assert cells(out, "Clip(Conv(x))")[-1].isdigit()
        assert "the optimised graph computes what the imported one does" in out

    def test_wrong_plan_exits_with_1(self, sums: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from tinyinfer import registry
        from tinyinfer.wasm_backend.lower import elementwise

        wrong = replace(registry.OPERATORS["Add"], lower=elementwise.binary("sub"))
        monkeypatch.setitem(registry.OPERATORS, "Add", wrong)
        out = run("verify", sums, code=1).stdout
        assert cells(out, "Add")[-1] == "✗ 1 node differs"
        assert cells(out, "Mul")[-1] == "✓ identical"
        assert "First difference: node adds (Add, f32_sub)" in out
        assert re.search(r"wasmtime: sum\[0\]\[0\] is \S+ \(\S+, bits [0-9a-f]{8}\), expected ", out)
        assert "bit-identical" not in out

    def test_expected_outputs(self, sums: Path, tmp_path: Path) -> None:
        a = np.full((2, 3), 2, np.float32)
        good = {"input_0": a, "input_1": a, "output_0": a + a, "output_1": a * a}
        np.savez(tmp_path / "good.npz", **good)
        np.savez(tmp_path / "bad.npz", **{**good, "output_1": a * a * 2})
        assert "✓ output product" in run("verify", sums, "--expect", tmp_path / "good.npz").stdout
        out = run("verify", sums, "--expect", tmp_path / "bad.npz", code=1).stdout
        assert "✓ output sum" in out
        assert "✗ output product: largest difference from the expected values 4, 0.5 of the largest" in out

    def test_all_engines_names_those_that_are_missing(self, sums: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from tinyinfer.wasm_backend import engines

        monkeypatch.setattr(engines, "problem", {"wasmtime": None, "wasmer": "too new a Python"}.get)
        result = run("verify", sums, "--all-engines")
        assert "without wasmer: too new a Python" in result.stderr
        assert "bit-identical on wasmtime" in result.stdout

    def test_unknown_input_in_a_file_is_named(self, sums: Path, tmp_path: Path) -> None:
        zeros = np.zeros((2, 3), np.float32)
        np.savez(tmp_path / "in.npz", a=zeros, b=zeros, z=zeros)
        error = run("verify", sums, "--feeds", tmp_path / "in.npz", code=1).stderr
        assert "unknown input 'z'; the model's inputs are a: float32[2, 3]" in error

    def test_compiled_model_is_refused(self, blots: Path, tmp_path: Path) -> None:
        run("compile", blots, "-o", tmp_path / "x.tinf")
        assert "holds no graph" in run("verify", tmp_path / "x.tinf", code=1).stderr


def test_model_for_other_kernels(blots: Path, tmp_path: Path) -> None:
    file = tinyinfer.compile(blots).file
    path = tmp_path / "old.tinf"
    path.write_bytes(tinf.encode(replace(file, kernels={"simd128": "0123456789abcdef"})))
    for arguments in (["run", path, "--random", "0"], ["bench", path], ["inspect", path, "--plan"]):
        assert "compiled for other kernels (SHA-256 0123456789ab…" in run(*arguments, code=1).stderr
    assert "not the installed ones" in run("inspect", path).stdout


class TestInspect:
    def test_model(self, blots: Path) -> None:
        out = run("inspect", blots).stdout
        assert cells(out, "input") == ["input", "image", "float32", "1×1×8×8"]
        assert cells(out, "output") == ["output", "scores", "float32", "1×4"]
        assert cells(out, "Conv") == ["Conv", "2", "2", "clamp ×2, residual ×1"]
        assert "a blot" in out
        assert "× the lower bound of" in out
        assert "× (weights + lower bound)" in out

    def test_minimal_filtering(self, tmp_path: Path) -> None:
        x, w = np.ones((1, 8, 6, 6), np.float32), np.ones((8, 8, 3, 3), np.float32)
        path = save(single("Conv", [x, w], constants=[1])[0], tmp_path / "plain.onnx")
        out = run("inspect", path).stdout
        assert cells(out, "Conv") == ["Conv", "1", "1", "winograd ×1"]
        assert cells(out, "each further thread")[-1] == "scratch"

    def test_plan_lists_every_step(self, blots: Path) -> None:
        plan = tinyinfer.compile(blots).plan
        out = run("inspect", blots, "--plan").stdout
        for i, step in enumerate(plan.steps):
            assert f"\n{i} {step.kernel} " in out

    def test_graph_before_and_after(self, blots: Path) -> None:
        out = run("inspect", blots, "--graph").stdout
        before, after = out[out.index("As imported") :].split("After the passes")
        assert "Add(" in before
        assert "Add(" not in after

    def test_memory_map(self, blots: Path) -> None:
        out = run("inspect", blots, "--memory").stdout
        assert cells(out[out.index("Arena") :], f"{tinyinfer.compile(blots).plan.inputs[0].offset:,}")[-1] == "image"

    def test_compiled_file(self, blots: Path, tmp_path: Path) -> None:
        run("compile", blots, "-o", tmp_path / "x.tinf")
        out = run("inspect", tmp_path / "x.tinf", "--plan", "--memory").stdout
        assert "blots" in out
        assert "the installed ones" in out
        assert cells(out, "Conv") == ["Conv", "2"]
        first = [step.kernel for step in tinyinfer.compile(blots).plan.steps].index("f32_conv")
        assert f"{first} f32_conv " in out

    def test_a_refused_model_shows_what_its_file_says(self, tmp_path: Path) -> None:
        nodes = [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Det", ["h"], ["y"], name="det")]
        w = np.ones((3, 3), np.float32)
        path = save(
            onnx_model(nodes, {"x": (TensorProto.FLOAT, ["n", 3, 3])}, constants={"w": w}), tmp_path / "det.onnx"
        )
        done = run("inspect", path, code=1)
        for word, row in {
            "input": ["input", "x", "float", "n×3×3"],
            "MatMul": ["MatMul", "1"],
            "Det": ["Det", "1", "not supported"],
            "float": ["float", "9", "36 B"],
        }.items():
            assert cells(done.stdout, word) == row
        assert "opset ai.onnx 13" in done.stdout
        assert "give --shape x=?x3x3" in done.stdout
        assert "Det ×1, for example node det" in done.stderr

    def test_open_dimensions_and_the_option_that_binds_them(self, tmp_path: Path) -> None:
        nodes = [helper.make_node("Relu", ["x"], ["y"])]
        path = save(onnx_model(nodes, {"x": (TensorProto.FLOAT, ["n", 3])}), tmp_path / "relu.onnx")
        done = run("inspect", path)
        assert cells(done.stdout, "input")[-1] == "1×3"
        assert (
            "open dimensions [n, 3]; give --shape x=?x3 with a number for every ?; bound here as above" in done.stdout
        )

    def test_names_with_brackets_are_printed_as_they_are(self, tmp_path: Path) -> None:
        path = save(with_metadata(adder(), {"note": "[bold]not markup[/]"}), tmp_path / "x.onnx")
        assert "[bold]not markup[/]" in run("inspect", path).stdout
