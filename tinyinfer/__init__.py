"""TinyInfer: ONNX inference in the browser, with proof that it computes what Python computed."""
