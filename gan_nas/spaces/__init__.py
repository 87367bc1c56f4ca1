"""The search spaces, one a file: the models of an architecture, its counting and its codes."""
