"""A float model with all that was learnt from calibration data: gives quantised models of any part of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import onnx

from tinyinfer.quantization.bias_correction import bias_changes
from tinyinfer.quantization.editing import Editor
from tinyinfer.quantization.equalization import equalize
from tinyinfer.quantization.histogram import Histogram
from tinyinfer.quantization.insertion import Scheme, activation_params, insert
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
        self.selection = selection
        self._ranges = self._calibrate(calibration)
        self._changes = {}
        if bias_correction:
            params = activation_params(Editor(self.proto), selection, self._ranges, scheme)
            self._changes = bias_changes(self.proto, selection, params, scheme, self.data, progress)

    def model(self, left_in_float: Collection[str] = (), only: Collection[str] | None = None) -> onnx.ModelProto:
        """The quantised model without some nodes, or with nothing but some (and what goes with them)."""
        return insert(self.proto, self._part(left_in_float, only), self._ranges, self._scheme, self._changes)

    def _part(self, left_in_float: Collection[str], only: Collection[str] | None) -> Selection:
        """A selection whose tensors all have ranges.

        Where an operator stays in float, one after it that belonged to it (a ReLU) may be quantised by itself, on a
        tensor that was not observed: it stays in float too.
        """
        exclude = self._exclude | set(left_in_float)
        while True:
            editor = Editor(self.proto)
            part = select(editor, self._op_types, self._nodes if only is None else only, exclude, allow_nothing=True)
            unknown = {name for name in part.tensors if name not in self._ranges}
            if not unknown:
                return part
            exclude |= {n.name for n in editor.nodes if unknown & {*n.input, *n.output} and n.name in part.nodes}

    def _calibrate(self, calibration: Calibration) -> dict[str, Range]:
        """The range of every selected tensor."""
        seen = {name: Histogram(name) for name in self.selection.tensors}
        for tensors in each_sample(self.proto, self.selection.tensors, self.data, self.progress, "calibrating"):
            for name, values in tensors.items():
                seen[name].add(values)
        return {
            name: choose_range(
                histogram, calibration.method, percentile=calibration.percentile,
                moving_average=calibration.moving_average, symmetric=self._scheme.activation_symmetric,
            )
            for name, histogram in seen.items()
        }  # fmt: skip
