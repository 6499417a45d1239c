"""Whatever the quantisers write is valid ONNX, compiles here, loads in onnxruntime, and is near the float model."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
from hypothesis import given, note
from hypothesis import strategies as st

import tinyinfer
from tests.quantization_networks import networks
from tinyinfer.errors import QuantizationError
from tinyinfer.quantization import CalibrationMethod, QuantType, quantize_dynamic, quantize_static, quantize_weights
from tinyinfer.quantization.editing import copy_of

# Signal to noise that is kept, in decibels. A tensor of n-bit values over a range of r standard deviations has a noise
# of step² / 12 with step = r / (2ⁿ - 1), so 12·((2ⁿ - 1) / r)²: 41 dB for eight bits and a range of ±4. Ranges that
# are wider than what fills them and a dozen of tensors one after the other are allowed 21 dB of that; seven bits
# another 6, four bits (with a range of ±2.5 for each block: 20 dB) 14. Where sums cancel, what is left has less:
# as much as the float model makes of that noise in its input.
STATIC, SEVEN_BITS, DYNAMIC, EIGHT_BIT_WEIGHTS, FOUR_BIT_WEIGHTS = 20.0, 14.0, 20.0, 20.0, 6.0

EIGHT_BITS = st.sampled_from([QuantType.QInt8, QuantType.QUInt8])


@st.composite
def static_options(draw):
    method = draw(st.sampled_from(CalibrationMethod))
    names = ("ActivationSymmetric", "WeightSymmetric", "CalibMovingAverage")
    return {
        "per_channel": draw(st.booleans()),
        "reduce_range": draw(st.booleans()),
        "activation_type": draw(EIGHT_BITS),
        "weight_type": draw(EIGHT_BITS),
        "calibrate_method": method,
        "bias_correction": draw(st.booleans()),
        "cross_layer_equalization": draw(st.sampled_from([None, False, True])),
        "extra_options": {name: draw(st.booleans()) for name in names},
        "keep_accuracy": draw(st.sampled_from([None, None, None, 0.9])),
    }


@st.composite
def quantisers(draw):
    """A function from a float model and samples to a quantised one, and the signal to noise ratio that it keeps."""
    kind = draw(st.sampled_from(["static", "static", "dynamic", "weights"]))
    if kind == "static":
        options = draw(static_options())
        note(str(options))
        exact = options["calibrate_method"] in (CalibrationMethod.MinMax, CalibrationMethod.MSE)
        exact &= not options["extra_options"]["CalibMovingAverage"]
        least = SEVEN_BITS if options["reduce_range"] or options["extra_options"]["ActivationSymmetric"] else STATIC
        return lambda m, samples: quantize_static(m, None, samples, **options), least if exact else -100.0
    if kind == "dynamic":
        options = {"per_channel": draw(st.booleans()), "weight_type": draw(EIGHT_BITS)}
        note(str(options))
        return lambda m, _: quantize_dynamic(m, None, **options), DYNAMIC
    options = {
        "weight_type": draw(st.sampled_from([QuantType.QInt8, QuantType.QInt4])),
        "block_size": draw(st.sampled_from([None, 16, 32])),
        "symmetric": draw(st.booleans()),
    }
    note(str(options))
    least = EIGHT_BIT_WEIGHTS if options["weight_type"] is QuantType.QInt8 else FOUR_BIT_WEIGHTS
    return lambda m, _: quantize_weights(m, None, **options), least


class Native:
    """onnxruntime without fusions: on some processors its own integer products saturate.

    It wants names of nodes to differ, and takes training outputs that nothing reads for training.
    """

    def __init__(self, proto: onnx.ModelProto) -> None:
        proto = copy_of(proto)
        for index, node in enumerate(proto.graph.node):
            node.name = f"{node.op_type}_{index}"
            if node.op_type == "BatchNormalization":
                del node.output[1:]
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.log_severity_level = 4
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        blob = proto.SerializeToString()
        self._session = onnxruntime.InferenceSession(blob, options, providers=["CPUExecutionProvider"])

    def run(self, x: np.ndarray) -> dict[str, np.ndarray]:
        return dict(zip([o.name for o in self._session.get_outputs()], self._session.run(None, {"x": x})))


def noise_allowed(model: Native, x: np.ndarray, decibels: float) -> dict[str, float]:
    """The root mean square of the noise that each output may have."""
    rng, share = np.random.default_rng(8), 10 ** (-decibels / 20)
    exact = {name: y.astype(np.float64) for name, y in model.run(x).items()}
    noisy = [model.run(x + rng.normal(0, share * x.std(), x.shape).astype(np.float32)) for _ in range(8)]
    return {
        name: max(share * rms(y), 2 * rms(np.stack([other[name] - y for other in noisy]))) for name, y in exact.items()
    }


def rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.square(values).mean()))


@given(networks(), quantisers())
def test_what_is_written_is_right(network, quantiser) -> None:
    proto, shape = network
    quantise, least = quantiser
    samples = [{"x": np.random.default_rng(seed).standard_normal(shape).astype(np.float32)} for seed in range(4)]
    model = Native(proto)
    try:
        quantised = quantise(proto, samples)
    except QuantizationError as error:
        if "nothing to quantise" not in str(error):
            raise
        return
    onnx.checker.check_model(quantised, full_check=True)
    assert [o.name for o in quantised.graph.output] == [o.name for o in proto.graph.output]
    assert [i.name for i in quantised.graph.input] == ["x"]
    assert len({n.name for n in quantised.graph.node}) == len(quantised.graph.node)
    Native(quantised).run(samples[0]["x"])
    actual = tinyinfer.InferenceSession(tinyinfer.compile(quantised).to_bytes()).run(samples[0])
    exact, allowed = model.run(samples[0]["x"]), noise_allowed(model, samples[0]["x"], least)
    for name, want in exact.items():
        assert actual[name].shape == want.shape
        assert rms(actual[name] - want.astype(np.float64)) <= allowed[name] + 1e-6, name
