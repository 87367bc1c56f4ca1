"""File formats, told apart before they are read."""
