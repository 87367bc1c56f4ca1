"""Strategies: searches that only ask for trials and are told what came of them, a file each."""
