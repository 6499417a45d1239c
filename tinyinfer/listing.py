"""The page of a bundle that has none: what is in the folder, and for each model a sample that can be copied and run.

Its script reads nothing but the page and what the session says of itself; all names are escaped.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from html import escape
from math import prod
from pathlib import Path
from urllib.parse import quote

from tinyinfer.bundle import FILES
from tinyinfer.errors import TinyInferError
from tinyinfer.images import Preprocess
from tinyinfer.types import DType
from tinyinfer.wasm_backend import tinf
from tinyinfer.wasm_backend.plan import Binding

ARRAYS = {
    "float32": "Float32Array",
    "int32": "Int32Array",
    "int64": "BigInt64Array",
    "uint8": "Uint8Array",
    "int8": "Int8Array",
    "bool": "Uint8Array",
}

STYLE = """
:root { color-scheme: light dark; --line: #8886; --code: #8881; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; margin-top: 2.5rem; overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; } th { text-align: left; font-weight: 600; }
form + pre { white-space: pre-wrap; overflow-wrap: anywhere; }
label { min-width: 0; max-width: 100%; }
th, td { white-space: nowrap; padding: .25rem 1.25rem .25rem 0; border-bottom: 1px solid var(--line); }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
pre { background: var(--code); padding: .75rem 1rem; overflow-x: auto; border-radius: .4rem; font-size: .85rem; }
button, input { font: inherit; } button { padding: .3rem 1rem; } input { max-width: 100%; }
form { display: flex; flex-wrap: wrap; gap: .75rem 1.5rem; align-items: center; }
.error { color: light-dark(#b00020, #ff8a80); overflow-wrap: anywhere; }
"""

SCRIPT = """
import { InferenceSession, Tensor } from "./index.js";

const arrays = { float32: Float32Array, int32: Int32Array, int64: BigInt64Array, uint8: Uint8Array, int8: Int8Array,
  bool: Uint8Array };

/** The pixels of a picture, stretched to the input's size: values are (byte - mean) / std. */
const pixels = async (file, { width, height, color, layout, mean, std, type }) => {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(await createImageBitmap(file), 0, 0, width, height);
  const { data } = context.getImageData(0, 0, width, height);
  const channels = color === "gray" ? 1 : 3;
  const values = new arrays[type](width * height * channels);
  for (let at = 0; at < width * height; at++)
    for (let c = 0; c < channels; c++) {
      const [r, g, b] = data.subarray(4 * at);
      const colors = color === "bgr" ? [b, g, r] : [r, g, b];
      const byte = channels === 1 ? Math.round(0.299 * r + 0.587 * g + 0.114 * b) : colors[c];
      const to = layout === "NCHW" ? c * width * height + at : at * channels + c;
      values[to] = type === "uint8" ? byte : (byte - mean[c % mean.length]) / std[c % std.length];
    }
  return values;
};

const feedsOf = async (form, inputs) => {
  const feeds = {};
  for (const { name, type, shape } of inputs) {
    const field = [...form.querySelectorAll("input")].find(field => field.name === name);
    const size = shape.reduce((product, n) => product * n, 1);
    const picked = field?.files[0];
    const data = picked ? await pixels(picked, JSON.parse(field.dataset.picture)) : new arrays[type](size);
    feeds[name] = new Tensor(type, data, [...shape]);
  }
  return feeds;
};

const rounded = value => (typeof value === "number" ? Number(value.toPrecision(6)) : value);

const shown = (name, { type, dims, data }) => {
  const values = Array.from(data.subarray(0, 10), rounded).join(", ");
  let text = `${name}: ${type} [${dims.join(", ")}]\\n  ${values}${data.length > 10 ? ", …" : ""}`;
  if (data.length > 1) {
    const most = data.reduce((best, v, i) => (v > data[best] ? i : best), 0);
    text += `\\n  largest: ${rounded(data[most])} at ${most}`;
  }
  return text;
};

for (const form of document.forms)
  form.addEventListener("submit", async event => {
    event.preventDefault();
    const [button, answer] = [form.querySelector("button"), form.nextElementSibling];
    button.disabled = true;
    Object.assign(answer, { hidden: false, className: "", textContent: "Running …" });
    let session;
    try {
      session = await InferenceSession.create(form.dataset.model);
      const outputs = await session.run(await feedsOf(form, session.inputMetadata));
      const texts = Object.entries(outputs).map(([name, tensor]) => shown(name, tensor));
      answer.textContent = `${texts.join("\\n")}\\n${session.runTime.toFixed(2)} ms, ${session.tier}`;
    } catch (error) {
      Object.assign(answer, { className: "error", textContent: `${error.name}: ${error.message}` });
    } finally {
      await session?.release();
      button.disabled = false;
    }
  });
"""


def is_wanted(folder: Path) -> bool:
    """Whether a bundle has been written there, and no page."""
    has_bundle = (folder / FILES).is_file() and (folder / "index.js").is_file()
    return has_bundle and not (folder / "index.html").exists()


def files_of(folder: Path) -> dict[str, int]:
    """The files right in the folder that are served, with their sizes in bytes, sorted."""
    paths = sorted(path for path in folder.iterdir() if not path.name.startswith(".") and not path.is_symlink())
    return {path.name: path.stat().st_size for path in paths if path.is_file()}


def models_of(folder: Path) -> dict[str, tinf.ModelFile | TinyInferError]:
    """The models among them; of one that cannot be read the reason."""
    found: dict[str, tinf.ModelFile | TinyInferError] = {}
    for name in files_of(folder):
        if name.endswith(".tinf"):
            try:
                found[name] = tinf.read(folder / name)
            except TinyInferError as error:
                found[name] = TinyInferError(str(error).replace(str(folder / name), name))
    return found


def page(folder: Path) -> str:
    """The HTML."""
    files = _table(["file", "bytes"], ([name, f"{size:,}"] for name, size in files_of(folder).items()))
    models = "".join(_model(name, model) for name, model in models_of(folder).items())
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(folder.resolve().name)} – TinyInfer</title>\n<style>{STYLE}</style>\n"
        f"<h1>{escape(folder.resolve().name)}</h1>\n"
        "<p>This bundle has no page yet. Put an <code>index.html</code> into the folder, and it is served here "
        "instead; each model below has a sample to begin with.</p>\n"
        f'{models}<h2>Files</h2>\n{files}\n<script type="module">{SCRIPT}</script>\n</html>\n'
    )


def sample(name: str, inputs: Iterable[Binding], outputs: Iterable[Binding]) -> str:
    """A script that runs the model of this file name on zeros, for `<script type="module">`."""
    feeds = "".join(f"  {json.dumps(each.name)}: {_zeros(each)},\n" for each in inputs)
    logs = "".join(f"console.log(outputs[{json.dumps(each.name)}].data);\n" for each in outputs)
    return (
        "import { InferenceSession, Tensor } from './index.js';\n\n"
        f"const session = await InferenceSession.create({json.dumps('./' + quote(name))});\n"
        f"const outputs = await session.run({{\n{feeds}}});\n{logs}await session.release();\n"
    )


def _zeros(binding: Binding) -> str:
    array = f"new {ARRAYS[binding.dtype.value]}({prod(binding.shape)})"
    return f"new Tensor('{binding.dtype.value}', {array}, {list(binding.shape)})"


def _model(name: str, model: tinf.ModelFile | TinyInferError) -> str:
    title = f"<h2>{escape(name)}</h2>\n"
    if isinstance(model, TinyInferError):
        return f'{title}<p class="error">{escape(str(model))}</p>\n'
    plan = model.plans[0]
    rows = [
        [kind, each.name, each.dtype.value, " × ".join(map(str, each.shape)) or "scalar"]
        for kind, bindings in (("input", plan.inputs), ("output", plan.outputs))
        for each in bindings
    ]
    pictures = "".join(_picture(each, model.metadata) for each in plan.inputs)
    code = escape(sample(name, plan.inputs, plan.outputs))
    return (
        f"{title}{_table(['', 'name', 'type', 'shape'], rows)}\n<pre><code>{code}</code></pre>\n"
        f'<form data-model="./{escape(quote(name))}">{pictures}<button>Run</button> '
        f"<span>{'without a picture, ' if pictures else ''}on zeros</span></form>\n<pre hidden></pre>\n"
    )


def _picture(binding: Binding, metadata: Mapping[str, str]) -> str:
    """The field for a picture; empty where the input does not look like one."""
    if binding.dtype not in (DType.FLOAT, DType.UINT8):
        return ""
    try:
        told = Preprocess.of(metadata, binding)
    except TinyInferError:
        return ""
    if prod(binding.shape) != told.width * told.height * told.channels:
        return ""
    names = ("width", "height", "color", "layout", "mean", "std")
    picture = {**{name: getattr(told, name) for name in names}, "type": binding.dtype.value}
    return (
        f"<label>{escape(binding.name)}, a picture, stretched to {told.width} × {told.height}: "
        f'<input type="file" accept="image/*" name="{escape(binding.name)}" '
        f'data-picture="{escape(json.dumps(picture))}"></label>'
    )


def _table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = "".join(f"<th>{column}</th>" for column in columns)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>\n" for row in rows)
    return f'<div class="wide"><table>\n<tr>{head}</tr>\n{body}</table></div>'


def _cell(text: str) -> str:
    number = ' class="number"' if text.replace(",", "").isdecimal() else ""
    return f"<td{number}>{escape(text)}</td>"
