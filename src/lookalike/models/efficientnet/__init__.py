"""The embedded model, EfficientNet-Lite2, on ONNX Runtime."""
