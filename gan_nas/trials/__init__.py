"""Trials: a genome, how long it is trained and from which seed, and what came of it."""
