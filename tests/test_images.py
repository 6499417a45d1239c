"""Pictures become inputs as the metadata or the options say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tinyinfer import images
from tinyinfer.errors import FeedError, ModelError
from tinyinfer.images import Preprocess, read_image
from tinyinfer.types import Array, DType
from tinyinfer.wasm_backend.plan import Binding
from tinyinfer.wasm_backend.strides import plain, strides_of

DIGITS = {
    "color": "gray", "layout": "NCHW", "width": 28, "height": 28, "mean": 0.0, "std": 255.0,
    "polarity": "light-on-dark", "fit": 20, "center": "bounding-box",
}  # fmt: skip


def binding(*shape: int, dtype: DType = DType.FLOAT) -> Binding:
    return Binding("x", dtype, shape, 0, strides_of(shape, plain(len(shape))))


def save(pixels: Array, path: Path) -> Path:
    Image.fromarray(pixels.astype(np.uint8)).save(path)
    return path


def metadata(**changes: Any) -> dict[str, str]:
    return {images.PREPROCESS_KEY: json.dumps({**DIGITS, **changes})}


@pytest.fixture
def colors(tmp_path: Path) -> tuple[Path, Array]:
    """A 4 × 6 picture of random colours and its pixels [4, 6, 3]."""
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)
    return save(pixels, tmp_path / "colors.png"), pixels


class TestGuess:
    @pytest.mark.parametrize(
        ("shape", "expected"),
        [
            ((1, 3, 4, 6), ("NCHW", "rgb", 6, 4)),
            ((1, 4, 6, 3), ("NHWC", "rgb", 6, 4)),
            ((1, 1, 28, 28), ("NCHW", "gray", 28, 28)),
            ((28, 20, 1), ("NHWC", "gray", 20, 28)),
        ],
    )
    def test_by_shape(self, shape: tuple[int, ...], expected: tuple[str, str, int, int]) -> None:
        guess = Preprocess.of({}, binding(*shape))
        assert (guess.layout, guess.color, guess.width, guess.height) == expected

    @pytest.mark.parametrize("shape", [(1, 10), (1, 4, 6, 5), (1, 2, 3, 4, 3)])
    def test_no_picture(self, shape: tuple[int, ...]) -> None:
        with pytest.raises(FeedError, match=r"input 'x', float32.* does not have the shape of a picture"):
            Preprocess.of({}, binding(*shape))


class TestMetadata:
    def test_fields_are_read(self) -> None:
        preprocess = Preprocess.of(metadata(), binding(1, 1, 28, 28))
        assert (preprocess.fit, preprocess.mean, preprocess.std, preprocess.polarity) == (
            20, (0.0,), (255.0,), "light-on-dark",
        )  # fmt: skip

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"color": "cmyk"}, "color is 'cmyk'; accepted: 'gray', 'rgb', 'bgr'"),
            ({"layout": "CHW"}, "layout is 'CHW'; accepted: 'NCHW', 'NHWC'"),
            ({"mean": [1, 2]}, "mean has 2 values; accepted: 1 or 1"),
            ({"std": 0}, "std must not be 0"),
            ({"std": "big"}, "big"),
            ({"resize": 12}, "resize is '12'; accepted: .* at least 28"),
            ({"crop": 3}, "expected a JSON object with some of width, height"),
        ],
    )
    def test_wrong_values_are_named(self, changes: dict[str, Any], message: str) -> None:
        with pytest.raises(ModelError, match=f"tinyinfer.preprocess: .*{message}"):
            Preprocess.of(metadata(**changes), binding(1, 1, 28, 28))

    def test_text_that_is_not_json(self) -> None:
        with pytest.raises(ModelError, match=r"tinyinfer\.preprocess: not JSON"):
            Preprocess.of({images.PREPROCESS_KEY: "{"}, binding(1, 1, 28, 28))

    def test_labels(self) -> None:
        assert images.labels_of({images.LABELS_KEY: "a cat\na dog\n"}) == ["a cat", "a dog"]
        assert images.labels_of({}) == []


class TestPixels:
    def test_channels_first(self, colors: tuple[Path, Array]) -> None:
        path, pixels = colors
        value = read_image(path, Preprocess(6, 4), binding(1, 3, 4, 6))
        assert value.dtype == np.float32
        assert value.tolist() == (pixels.transpose(2, 0, 1)[None] / np.float32(255)).astype(np.float32).tolist()

    def test_channels_last_and_blue_first(self, colors: tuple[Path, Array]) -> None:
        path, pixels = colors
        value = read_image(path, Preprocess(6, 4, "bgr", "NHWC"), binding(1, 4, 6, 3))
        assert value.tolist() == (pixels[None, :, :, ::-1] / np.float32(255)).astype(np.float32).tolist()

    def test_mean_and_std_of_each_channel(self, colors: tuple[Path, Array]) -> None:
        path, pixels = colors
        value = read_image(path, Preprocess(6, 4, mean=(1, 2, 3), std=(4, 5, 8)), binding(1, 3, 4, 6))
        for channel, (mean, std) in enumerate(((1, 4), (2, 5), (3, 8))):
            expected = (pixels[:, :, channel].astype(np.float32) - np.float32(mean)) / np.float32(std)
            assert value[0, channel].tolist() == expected.tolist()

    def test_bytes_stay_bytes(self, colors: tuple[Path, Array]) -> None:
        path, pixels = colors
        value = read_image(path, Preprocess(6, 4, layout="NHWC"), binding(1, 4, 6, 3, dtype=DType.UINT8))
        assert value.tobytes() == pixels.tobytes()

    def test_transparent_pixels_are_white(self, tmp_path: Path) -> None:
        path = tmp_path / "clear.png"
        Image.new("RGBA", (6, 4), (10, 20, 30, 0)).save(path)
        assert read_image(path, Preprocess(6, 4), binding(1, 3, 4, 6)).min() == 1

    def test_size_that_does_not_fill_the_input(self, colors: tuple[Path, Array]) -> None:
        with pytest.raises(FeedError, match=r"3 × 4 × 6 values do not fill input 'x' of shape \[2, 3, 4, 6\]"):
            read_image(colors[0], Preprocess(6, 4), binding(2, 3, 4, 6))


class TestResize:
    """Of a picture 40 wide and 20 high: red, green, blue, white columns of width 10."""

    @pytest.fixture
    def columns(self, tmp_path: Path) -> Path:
        stripes = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]])
        return save(np.broadcast_to(stripes.repeat(10, axis=0), (20, 40, 3)), tmp_path / "columns.png")

    @staticmethod
    def middle_row(path: Path, resize: str) -> list[list[int]]:
        value = read_image(path, Preprocess(8, 8, layout="NHWC", std=(1.0,), resize=resize), binding(1, 8, 8, 3))
        return np.rint(value[0, 4]).astype(int).tolist()

    def test_stretch_keeps_everything(self, columns: Path) -> None:
        row = self.middle_row(columns, "stretch")
        assert row[0] == [255, 0, 0]
        assert row[-1] == [255, 255, 255]

    def test_crop_keeps_the_centre(self, columns: Path) -> None:
        row = self.middle_row(columns, "crop")  # the outermost pixels blend with what was cut off
        assert row[1] == [0, 255, 0]
        assert row[-2] == [0, 0, 255]

    def test_a_longer_shorter_side_keeps_less(self, columns: Path) -> None:
        # Scaled to 64 × 32: the middle 8 of 64 columns are the inner quarters of green and blue.
        assert self.middle_row(columns, "32")[:3] == [[0, 255, 0]] * 3
        assert self.middle_row(columns, "32")[-3:] == [[0, 0, 255]] * 3


class TestDrawing:
    INPUT = binding(1, 1, 28, 28)

    def framed(self, path: Path, **changes: Any) -> Array:
        return read_image(path, Preprocess.of(metadata(**changes), self.INPUT), self.INPUT)[0, 0]

    def ink_box(self, picture: Array) -> tuple[int, int, int, int]:
        rows, columns = np.nonzero(picture > 0.5)
        return int(rows.min()), int(rows.max()) + 1, int(columns.min()), int(columns.max()) + 1

    def test_box_is_scaled_and_centred(self, tmp_path: Path) -> None:
        pixels = np.zeros((100, 100))
        pixels[5:65, 60:90] = 255  # 60 high, 30 wide → 20 high, 10 wide
        assert self.ink_box(self.framed(save(pixels, tmp_path / "a.png"))) == (4, 24, 9, 19)

    def test_dark_ink_on_paper_is_inverted(self, tmp_path: Path) -> None:
        pixels = np.full((100, 100), 255)
        pixels[5:65, 60:90] = 0
        framed = self.framed(save(pixels, tmp_path / "a.png"))
        assert self.ink_box(framed) == (4, 24, 9, 19)
        assert framed[0, 0] == 0

    def test_a_model_of_dark_ink_gets_dark_ink(self, tmp_path: Path) -> None:
        pixels = np.zeros((100, 100))
        pixels[5:65, 60:90] = 255
        framed = self.framed(save(pixels, tmp_path / "a.png"), polarity="dark-on-light")
        assert (framed[0, 0], framed[14, 14]) == (1, 0)

    def test_a_picture_of_the_right_size_is_used_as_it_is(self, tmp_path: Path) -> None:
        pixels = np.zeros((28, 28))
        pixels[0:5, 0:5] = 200
        framed = self.framed(save(pixels, tmp_path / "a.png"))
        assert framed.tolist() == (pixels.astype(np.float32) / np.float32(255)).tolist()

    def test_blank_picture(self, tmp_path: Path) -> None:
        with pytest.raises(FeedError, match="the picture is blank"):
            self.framed(save(np.full((50, 50), 255), tmp_path / "a.png"))
