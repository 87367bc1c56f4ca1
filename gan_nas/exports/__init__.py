"""Generators for others: as a program of ONNX or PyTorch, or as a folder for a hub of models."""
