"""Backbones and measures: one file each, all numerics in float64."""
