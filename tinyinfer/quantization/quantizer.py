"""A float model with all that was learnt from calibration data: gives quantised models of any part of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import numpy as np
import onnx

from tinyinfer.errors import QuantizationError
from tinyinfer.quantization.bias_correction import bias_changes
from tinyinfer.quantization.editing import Editor
from tinyinfer.quantization.equalization import equalize
from tinyinfer.quantization.histogram import Histogram
from tinyinfer.quantization.insertion import Scheme, activation_params, insert, without_scale
from tinyinfer.quantization.kinds import CalibrationMethod
from tinyinfer.quantization.preparation import ModelInput, prepare
from tinyinfer.quantization.readers import CalibrationData, Replay
from tinyinfer.quantization.running import Progress, each_sample, no_progress
from tinyinfer.quantization.selection import Selection, select
from tinyinfer.quantization.thresholds import DEFAULT_PERCENTILE, Range, choose_range


@dataclass(frozen=True, slots=True)
class Calibration:
    """How ranges follow from what was observed."""

    method: CalibrationMethod = CalibrationMethod.MinMax
    percentile: float = DEFAULT_PERCENTILE
    moving_average: bool = False


class Quantizer:
    """Prepares a model, observes it on the data, and quantises it, as often as wanted.

    Memory is constant, whatever the amount of data. Raises what `quantize_static` raises.
    """

    def __init__(
        self,
        model: ModelInput,
        data: CalibrationData,
        scheme: Scheme = Scheme(),  # noqa: B008
        calibration: Calibration = Calibration(),
        *,
        op_types: Collection[str] | None = None,
        nodes: Iterable[str] | None = None,
        exclude: Iterable[str] = (),
        bias_correction: bool = True,
        equalization: bool = False,
        progress: Progress = no_progress,
    ) -> None:
        self.data = Replay(data)
        self.progress = progress
        self.proto = prepare(model)
        """The float model that is quantised."""
        self._op_types = op_types
        self._nodes = None if nodes is None else list(nodes)
        self._exclude = set(exclude)
        self._scheme = scheme
        selection = select(Editor(self.proto), op_types, self._nodes, self._exclude)
        if equalization:
            equalize(self.proto, selection, self.data, progress)
            selection = select(Editor(self.proto), op_types, self._nodes, self._exclude)
        self._ranges = self._calibrate(selection, calibration)
        self.selection = self._part()
        unfit = without_scale(Editor(self.proto), selection, self._ranges, scheme)
        self.without_scale = [tensor for tensor in selection.tensors if tensor in unfit]
        """Tensors that would be quantised if the calibration data gave them a range other than zero."""
        if not self.selection.nodes:
            names = ", ".join(map(repr, self.without_scale[:5]))
            raise QuantizationError(
                f"nothing to quantise: {names} gave no range, being zero, or not finite, in all calibration data, and "
                "what reads or writes such a tensor stays in float; expected typical inputs"
            )
        self._changes = {}
        if bias_correction:
            params = activation_params(Editor(self.proto), self.selection, self._ranges, scheme)
            self._changes = bias_changes(self.proto, self.selection, params, scheme, self.data, progress)

    def model(self, left_in_float: Collection[str] = (), only: Collection[str] | None = None) -> onnx.ModelProto:
        """The quantised model without some nodes, or with nothing but some (and what goes with them)."""
        return insert(self.proto, self._part(left_in_float, only), self._ranges, self._scheme, self._changes)

    def _part(self, left_in_float: Collection[str] = (), only: Collection[str] | None = None) -> Selection:
        """A selection whose tensors all have scales: what reads or writes another one stays in float.

        Where an operator stays in float, one after it that belonged to it (a ReLU) may be quantised by itself, on a
        tensor that was not observed: it stays in float too.
        """
        exclude = self._exclude | set(left_in_float)
        while True:
            editor = Editor(self.proto)
            part = select(editor, self._op_types, self._nodes if only is None else only, exclude, allow_nothing=True)
            unfit = without_scale(editor, part, self._ranges, self._scheme)
            if not unfit:
                return part
            nodes = {n.name: n for n in editor.nodes if n.name in part.nodes}
            exclude |= {name for name, n in nodes.items() if unfit & {*n.input, *n.output, part.results[name]}}

    def _calibrate(self, selection: Selection, calibration: Calibration) -> dict[str, Range]:
        """The range of every selected tensor that is finite. QuantizationError where all inputs are always zero."""
        seen = {name: Histogram(name) for name in selection.tensors}
        for tensors in each_sample(self.proto, selection.tensors, self.data, self.progress, "calibrating"):
            for name in [name for name in seen if not np.isfinite(tensors[name]).all()]:
                del seen[name]
            for name, histogram in seen.items():
                histogram.add(tensors[name])
        inputs = [name for name in Editor(self.proto).inputs if name in seen]
        if inputs and not any(seen[name].low or seen[name].high for name in inputs):
            raise QuantizationError(
                f"tensor {inputs[0]!r} was zero in all calibration data, which gives no range; expected typical inputs"
            )
        return {
            name: choose_range(
                histogram, calibration.method, percentile=calibration.percentile,
                moving_average=calibration.moving_average, symmetric=self._scheme.activation_symmetric,
            )
            for name, histogram in seen.items()
        }  # fmt: skip
