"""DEGAS (Doveh & Giryes 2019)."""
