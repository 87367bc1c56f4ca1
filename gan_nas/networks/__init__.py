"""How architectures compute."""
