"""Reading models: what is not ONNX, external data, names, metadata, and bytes that were tampered with."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from tests.onnx_models import assert_close, imported, model, run, single
from tinyinfer import frontend
from tinyinfer.errors import ModelError, ShapeError, TinyInferError, UnsupportedError

X = np.arange(6, dtype=np.float32).reshape(2, 3)
W = np.arange(12, dtype=np.float32).reshape(3, 4)


def product() -> onnx.ModelProto:
    return model([helper.make_node("MatMul", ["x", "w"], ["y"], name="product")], {"x": X}, constants={"w": W})


# files


def test_path_bytes_and_proto_are_the_same_model(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    onnx.save(product(), path)
    for form in (path, str(path), path.read_bytes(), product()):
        assert_close(run(frontend.load(form), {"x": X}), {"y": X @ W}, 1e-6)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty; expected an ONNX model"),
        (b"PK\x03\x04 not a model at all", "is not an ONNX model, or is truncated"),
        (b'{"model": 1}', "is not an ONNX model, or is truncated"),
        (b"\x08\x08", "is not an ONNX model, or is truncated: it holds no graph"),
    ],
)
def test_a_file_that_is_not_onnx(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=f"m.onnx {message}"):
        frontend.load(path)
    with pytest.raises(ModelError, match=f"model {message}"):
        frontend.load(content)


def test_every_truncation_is_a_clear_error_or_a_model() -> None:
    blob = product().SerializeToString()
    assert frontend.load(blob).outputs["y"].shape == (2, 4)
    failures = 0
    for end in range(len(blob)):
        try:
            frontend.load(blob[:end])
        except ModelError as error:
            assert str(error).startswith(("model ", "model:", "test:", "test "))  # noqa: PT017
            failures += 1
    assert failures == len(blob)


def test_missing_files_and_directories(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none.onnx: no such file"):
        frontend.load(tmp_path / "none.onnx")
    with pytest.raises(ModelError, match="is a directory; expected an ONNX file"):
        frontend.load(tmp_path)
    with pytest.raises(ModelError, match="cannot be read"):
        frontend.load("nul\0.onnx")


@pytest.mark.parametrize(("opset", "accepted"), [(6, False), (7, True), (1000, False)])
def test_opsets(opset: int, accepted: bool) -> None:
    proto, feeds = single("Add", [X, X], opset=opset)
    if accepted:
        assert_close(imported(proto, feeds), {"y": X + X}, 0)
    else:
        with pytest.raises(UnsupportedError, match=rf"test uses opset {opset}; accepted: 7 to \d\d"):
            frontend.load(proto)


def test_no_opset_at_all() -> None:
    proto = product()
    del proto.opset_import[:]
    with pytest.raises(ModelError, match="imports no operator set"):
        frontend.load(proto)


# operators


def test_every_unsupported_operator_is_listed_at_once() -> None:
    nodes = [
        helper.make_node("Loop", ["x"], ["a"], name="loop"),
        helper.make_node("TreeEnsembleClassifier", ["a"], ["b"], domain="ai.onnx.ml", name="forest"),
        helper.make_node("NonZero", ["b"], ["c"]),
        helper.make_node("NonZero", ["c"], ["d"]),
        helper.make_node("Add", ["d", "d"], ["y"]),
    ]
    with pytest.raises(UnsupportedError) as caught:
        frontend.load(model(nodes, {"x": X}))
    assert str(caught.value).splitlines() == [
        "test: 3 operators are not supported:",
        "  NonZero ×2, for example node NonZero_2",
        "  Loop ×1, for example node loop",
        "  ai.onnx.ml::TreeEnsembleClassifier ×1, for example node forest",
        "  Export the model without them, or end it before them; docs/operators.md lists what is supported.",
    ]


def test_everything_unsupported_is_listed_at_once() -> None:
    """Behind an operator without a converter too, grouped, with the way out; what follows from it is left out."""
    nodes = [
        helper.make_node("NonZero", ["x"], ["indices"], name="nz"),
        helper.make_node("Shape", ["indices"], ["found"], name="follows"),
        helper.make_node("Expand", ["x", "found"], ["e"], name="follows too"),
        helper.make_node("Tile", ["x", "n"], ["t"], name="a"),
        helper.make_node("Tile", ["x", "n"], ["u"], name="b"),
        helper.make_node("LSTM", ["x", "w", "r"], ["", "lost"], name="lstm", hidden_size=1),
        helper.make_node("Pad", ["t", "pads"], ["p"], name="pad", mode="mirror"),
        helper.make_node("Relu", ["bytes"], ["q"], name="r"),
        helper.make_node("Sigmoid", ["double"], ["d"], name="s"),
        helper.make_node("Add", ["p", "half"], ["y"], name="add"),
    ]
    inputs: dict[str, Any] = dict.fromkeys(("x", "w", "r"), X)
    inputs |= {"n": (TensorProto.INT64, [2]), "bytes": (TensorProto.INT8, [2]), "double": (TensorProto.DOUBLE, [2])}
    proto = model(nodes, inputs, constants={"pads": np.zeros(4, np.int64)}, opset=18)
    proto.graph.initializer.append(helper.make_tensor("half", TensorProto.STRING, [1], [b"x"]))
    with pytest.raises(UnsupportedError) as caught:
        frontend.load(proto)
    assert [re.sub(r"accepted.*?(?=; |$)", "…", line) for line in str(caught.value).splitlines()] == [
        "test: 2 operators are not supported:",
        "  NonZero ×1, for example node nz",
        "  LSTM ×1, for example node lstm",
        "  Export the model without them, or end it before them; docs/operators.md lists what is supported.",
        "5 other things are not supported:",
        "  input 'double' has element type double; …; declare one of them, and remove or change the Cast after it",
        (
            "  node a (Tile): input 1 (repeats) is 'n', which is only known at run time; …; it follows from "
            "input 'n': make that a constant, or end the model before this node (and 1 more of this kind)"
        ),
        "  node pad (Pad): attribute mode is 'mirror'; …",
        "  node r (Relu): A is int8[2]; …",
        "  node add (Add): tensor 'half' has element type string; …",
    ]


def test_operators_of_branches_that_cannot_be_chosen_are_listed() -> None:
    out = [helper.make_tensor_value_info("z", TensorProto.FLOAT, None)]
    branch = helper.make_graph([helper.make_node("Det", ["x"], ["z"], name="det")], "branch", [], out)
    node = helper.make_node("If", ["c"], ["y"], name="if", then_branch=branch, else_branch=branch)
    with pytest.raises(UnsupportedError, match=r"Det ×2, for example node det\n(.|\n)*\(If\): .*freeze input 'c'"):
        frontend.load(model([node], {"x": X, "c": (TensorProto.BOOL, [])}))


def test_open_dimensions_do_not_hide_what_is_unsupported() -> None:
    nodes = [helper.make_node("Pad", ["x"], ["p"], name="pad", mode="mirror", pads=[0, 0, 0, 0])]
    nodes += [helper.make_node("Reshape", ["p", "shape"], ["y"], name="follows")]
    proto = model(nodes, {"x": (TensorProto.FLOAT, [2, "n"])}, constants={"shape": np.array([2, 7])}, opset=9)
    with pytest.raises(UnsupportedError, match=r"^test: node pad \(Pad\): attribute mode is 'mirror'; [^\n]*$"):
        frontend.load(proto)
    nodes[0].attribute[0].s = b"edge"
    proto = model(nodes, {"x": (TensorProto.FLOAT, [2, "n"])}, constants={"shape": np.array([2, 7])}, opset=9)
    with pytest.raises(ShapeError, match="give --shape x=2x"):
        frontend.load(proto)


def test_an_operator_of_a_later_opset() -> None:
    proto, _ = single("Mish", [X], opset=13)
    with pytest.raises(ModelError, match=r"test: node node \(Mish\): opset 13, which the model imports, has no op"):
        frontend.load(proto)


@pytest.mark.parametrize(
    ("inputs", "outputs", "message"),
    [
        (["x"], ["y"], "1 inputs; expected 2"),
        (["x", "x", "x"], ["y"], "3 inputs; expected 2"),
        (["x", ""], ["y"], r"input 1 \(B\) is required"),
        (["x", "x"], ["y", "z"], "2 outputs; expected 1"),
        (["x", "nowhere"], ["y"], "reads 'nowhere', which is no input, no initializer and no output of an earlier"),
        (["x", "y"], ["y"], "reads 'y', which is no input"),
        (["x", "x"], ["x"], "the tensor 'x' is produced a second time"),
        (["x", "x"], ["w"], "the tensor 'w' is produced a second time"),
    ],
)
def test_wiring_is_checked(inputs: list[str], outputs: list[str], message: str) -> None:
    proto = model([helper.make_node("Add", inputs, outputs, name="sum")], {"x": X}, constants={"w": X})
    with pytest.raises(ModelError, match=rf"test: node sum \(Add\):? {message}"):
        frontend.load(proto)


def test_functions_of_the_model_are_inlined() -> None:
    body = [helper.make_node("Add", ["a", "a"], ["b"]), helper.make_node("Mul", ["b", "a"], ["c"])]
    imports = [helper.make_opsetid("", 13)]
    function = helper.make_function("own", "twice_squared", ["a"], ["c"], body, imports)
    graph = model([helper.make_node("twice_squared", ["x"], ["y"], domain="own")], {"x": X}).graph
    proto = helper.make_model(
        graph, functions=[function], opset_imports=[*imports, helper.make_opsetid("own", 1)], ir_version=8
    )
    assert_close(imported(proto, {"x": X}), {"y": 2 * X * X}, 0)


# names and outputs


@pytest.mark.parametrize("name", [b"product", b"MatMul", b"x", b"w", b"test"])
def test_names_that_are_not_utf8(name: bytes) -> None:
    blob = product().SerializeToString()
    assert name in blob
    with pytest.raises(ModelError, match=r"model: the text .* is not UTF-8"):
        frontend.load(blob.replace(name, b"\xff" * len(name)))


def test_external_data_in_places_that_are_not_plain_files(tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(W.tobytes())
    (tmp_path / "inside.bin").symlink_to("w.bin")
    (tmp_path / "hard.bin").hardlink_to(tmp_path / "w.bin")
    for location in ("inside.bin", "hard.bin", "./w.bin"):
        external(tmp_path / "m.onnx", location)
        assert_close(run(frontend.load(tmp_path / "m.onnx"), {"x": X}), {"y": X @ W}, 1e-6)
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "null").symlink_to("/dev/null")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "folder").mkdir()
    for location in ("fifo", "null", "loop", "folder", "/dev/zero", "C:\\w.bin", "..\\w.bin", "\\\\host\\w.bin"):
        external(tmp_path / "m.onnx", location)
        with pytest.raises(ModelError, match=r"is missing|inside the model's folder|not a usable path"):
            frontend.load(tmp_path / "m.onnx")


@pytest.mark.parametrize("key", ["offset", "length"])
@pytest.mark.parametrize("number", ["-1", "1.5", "", "0x10", " 1", "²", str(2**63), str(2**64), "9" * 5000])
def test_numbers_of_external_data(tmp_path: Path, key: str, number: Any) -> None:
    (tmp_path / "w.bin").write_bytes(W.tobytes())
    external(tmp_path / "m.onnx", "w.bin", **{key: number})
    with pytest.raises(ModelError, match=r"'w'.*(expected a number of bytes|needs? 48)"):
        frontend.load(tmp_path / "m.onnx")


def test_names_are_those_of_the_model() -> None:
    nodes = [
        helper.make_node("Add", ["x", "w"], ["sum"], name="first"),
        helper.make_node("Mul", ["sum", "sum"], ["square"]),
        helper.make_node("Sqrt", ["square"], ["y"]),
    ]
    proto = model(nodes, {"x": X}, constants={"w": X})
    proto.metadata_props.add(key="labels", value="a,b")
    graph = frontend.load(proto)
    assert [node.name for node in graph.nodes] == ["first", "Mul_1", "Sqrt_2"]
    assert [node.output.name for node in graph.nodes] == ["sum", "square", "y"]
    assert (graph.name, dict(graph.metadata)) == ("test", {"labels": "a,b"})


def test_outputs_that_are_inputs_constants_or_the_same_value() -> None:
    nodes = [helper.make_node("Identity", ["x"], ["same"]), helper.make_node("Add", ["w", "w"], ["folded"])]
    names = ["x", "w", "same", "folded"]
    graph = frontend.load(model(nodes, {"x": X}, names, {"w": W}))
    assert_close(run(graph, {"x": X}), {"x": X, "w": W, "same": X, "folded": W + W}, 0)
    assert not graph.nodes


def test_initializers_that_are_inputs_too_are_constants() -> None:
    proto = product()
    proto.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, W.shape))
    assert list(frontend.load(proto).inputs) == ["x"]


def test_a_graph_without_outputs() -> None:
    proto = product()
    del proto.graph.output[:]
    with pytest.raises(ModelError, match="test: the graph has no outputs"):
        frontend.load(proto)


# tensors


def external(path: Path, location: str, **entries: int) -> onnx.ModelProto:
    """`product()` at `path` with the weights in another file."""
    proto = product()
    tensor = proto.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **entries}.items():
        tensor.external_data.add(key=key, value=str(value))
    onnx.save(proto, path)
    return proto


def test_external_data(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "w.bin").write_bytes(b"\xff" * 16 + W.tobytes() + b"\xff" * 16)
    proto = external(path, "sub/w.bin", offset=16, length=48)
    assert_close(run(frontend.load(path), {"x": X}), {"y": X @ W}, 1e-6)
    with pytest.raises(ModelError, match=r"'w' has external data in 'sub/w.bin': load the model from its path"):
        frontend.load(proto)


@pytest.mark.parametrize(
    ("location", "entries", "message"),
    [
        ("w.bin", {}, r"its external data file .*w\.bin is missing"),
        ("short.bin", {}, r"needs 48 bytes of external data at offset 0, but .*short\.bin has 40 bytes"),
        ("long.bin", {"offset": 40}, r"needs 48 bytes of external data at offset 40, but .*long\.bin has 64 bytes"),
        ("long.bin", {"length": 64}, "has 64 bytes, its shape and element type need 48"),
        ("long.bin", {"offset": "-1"}, "has offset '-1'; expected a number of bytes"),
        ("../secret.bin", {}, "is not a path inside the model's folder"),
        ("sub/../../secret.bin", {}, "is not a path inside the model's folder"),
        ("link.bin", {}, "is not a path inside the model's folder"),
        ("/etc/hostname", {}, "is not a path inside the model's folder"),
        ("", {}, "is not a path inside the model's folder"),
        (".", {}, "is missing"),
        ("a" * 5000, {}, "is not a usable path"),
        ("nul\0.bin", {}, "is not a usable path"),
    ],
)
def test_external_data_is_checked(tmp_path: Path, location: str, entries: dict, message: str) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "secret.bin").write_bytes(bytes(48))
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    (folder / "short.bin").write_bytes(bytes(40))
    (folder / "long.bin").write_bytes(bytes(64))
    external(folder / "m.onnx", location, **entries)
    with pytest.raises(ModelError, match=rf"m.onnx: node product \(MatMul\): tensor 'w'.*{message}"):
        frontend.load(folder / "m.onnx")


def test_tensors_that_do_not_fit_their_shape() -> None:
    for change, message in (
        (lambda t: setattr(t, "raw_data", bytes(44)), r"has 11 elements, its shape \[3, 4\] another number"),
        (lambda t: setattr(t, "raw_data", bytes(47)), "has 47 bytes, not a multiple"),
        (lambda t: t.dims.__setitem__(0, -3), r"has the dimensions \[-3, 4\]; accepted: at most 32 dimensions from 0"),
        (lambda t: setattr(t, "data_type", TensorProto.STRING), "has element type string; accepted: float32, int64"),
        (lambda t: setattr(t, "data_type", 77), "has element type number 77; accepted"),
    ):
        proto = product()
        change(proto.graph.initializer[0])
        with pytest.raises(ModelError, match=rf"test: node product \(MatMul\): tensor 'w' .*{message}"):
            frontend.load(proto)


@pytest.mark.parametrize("dtype", [np.float64, np.float16])
def test_weights_of_other_float_types_are_refused_beside_float32(dtype: type) -> None:
    proto = product()
    proto.graph.initializer[0].CopyFrom(numpy_helper.from_array(W.astype(dtype), "w"))
    with pytest.raises(
        UnsupportedError, match=rf"node product \(MatMul\): input 1 \('w'\) is a constant of {dtype.__name__}"
    ):
        frontend.load(proto)
    proto.graph.node[0].input[1] = "w32"
    proto.graph.node.insert(0, helper.make_node("Cast", ["w"], ["w32"], to=TensorProto.FLOAT))
    assert_close(imported(proto, {"x": X}), {"y": X @ W}, 1e-6)


# fuzzing


def sample() -> onnx.ModelProto:
    """A model that touches most of the import: shapes, weights, a window, an If, several types."""
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["c"], pads=[1, 1, 1, 1], name="conv"),
        helper.make_node("Clip", ["c", "zero", ""], ["r"]),
        helper.make_node("Shape", ["r"], ["dims"]),
        helper.make_node("Gather", ["dims", "index"], ["n"], axis=0),
        helper.make_node("Concat", ["n", "rest"], ["shape"], axis=0),
        helper.make_node("Reshape", ["r", "shape"], ["flat"]),
        helper.make_node("Gemm", ["flat", "g"], ["out"], transB=1, alpha=0.5),
        helper.make_node("Softmax", ["out"], ["y"], axis=1),
        helper.make_node("Slice", ["x", "index", "rest2"], ["s"]),
        helper.make_node("Pad", ["s", "pads"], ["p"], mode="constant"),
        helper.make_node("Resize", ["p", "", "scales"], ["z"], mode="linear"),
    ]
    constants = {
        "w": np.ones((2, 1, 3, 3), np.float32), "b": np.zeros(2, np.float32), "zero": np.float32(0),
        "index": np.array([0]), "rest": np.array([-1]), "rest2": np.array([1]), "g": np.ones((3, 18), np.float32),
        "pads": np.array([0, 0, 1, 0, 0, 0, 0, 1]), "scales": np.array([1, 1, 2, 2], np.float32),
    }  # fmt: skip
    declared = {"x": (TensorProto.FLOAT, ["n", 1, 3, 3])}
    return model(nodes, declared, ["y", "z"], constants)


SAMPLE = sample().SerializeToString()


def test_the_sample_imports() -> None:
    graph = frontend.load(SAMPLE)
    assert {name: value.shape for name, value in graph.outputs.items()} == {"y": (1, 3), "z": (1, 1, 8, 8)}


@given(st.data())
def test_tampered_bytes_give_a_model_or_an_error_of_ours(data: st.DataObject) -> None:
    blob = bytearray(SAMPLE)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(blob) - 1))
        kind = data.draw(st.sampled_from(["set", "flip", "delete", "insert", "repeat"]))
        if kind == "set":
            blob[at] = data.draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF, data.draw(st.integers(0, 255))]))
        elif kind == "flip":
            blob[at] ^= 1 << data.draw(st.integers(0, 7))
        elif kind == "delete":
            del blob[at : at + data.draw(st.integers(1, 8))]
        elif kind == "insert":
            blob[at:at] = data.draw(st.binary(min_size=1, max_size=8))
        else:
            blob[at:at] = blob[at : at + data.draw(st.integers(1, 40))]
        if not blob:
            break
    try:
        frontend.load(bytes(blob))
    except TinyInferError as error:
        assert str(error)  # noqa: PT017


INTEGERS = st.sampled_from([0, 1, -1, 2, 3, -2, 7, 100, 2**31 - 1, -(2**31), 2**40, 2**63 - 1, -(2**63)])
TYPES = st.sampled_from([TensorProto.FLOAT, TensorProto.UINT8, TensorProto.INT64, TensorProto.BOOL, TensorProto.DOUBLE])


@given(st.data())
def test_a_rewired_model_is_a_model_or_an_error_of_ours(data: st.DataObject) -> None:
    """Well-formed protobuf, ill-formed graph: other operands, attributes, elements, shapes and types."""
    proto = sample()
    graph = proto.graph
    names = ["", "x", *(t.name for t in graph.initializer), *(o for node in graph.node for o in node.output)]
    for _ in range(data.draw(st.integers(1, 3))):
        kind = data.draw(st.sampled_from(["operand", "attribute", "elements", "dims", "type", "input"]))
        node = data.draw(st.sampled_from(list(graph.node)))
        tensor = data.draw(st.sampled_from(list(graph.initializer)))
        if kind == "operand":
            node.input[data.draw(st.integers(0, len(node.input) - 1))] = data.draw(st.sampled_from(names))
        elif kind == "attribute" and node.attribute:
            attribute = data.draw(st.sampled_from(list(node.attribute)))
            attribute.i, attribute.f = data.draw(INTEGERS), data.draw(st.floats(width=32))
            attribute.ints[:] = data.draw(st.lists(INTEGERS, max_size=5))
        elif kind == "elements" and tensor.data_type == TensorProto.INT64:
            count = int(np.prod(tensor.dims))
            elements = data.draw(st.lists(INTEGERS, min_size=count, max_size=count))
            tensor.raw_data = np.array(elements, np.int64).tobytes()
        elif kind == "dims":
            tensor.dims[:] = data.draw(st.lists(INTEGERS, max_size=4))
        elif kind == "type":
            tensor.data_type = data.draw(TYPES)
        else:
            graph.input[0].type.tensor_type.elem_type = data.draw(TYPES)
            graph.input[0].type.tensor_type.shape.dim[data.draw(st.integers(0, 3))].dim_value = data.draw(INTEGERS)
    try:
        frontend.load(proto)
    except TinyInferError as error:
        assert str(error)  # noqa: PT017
