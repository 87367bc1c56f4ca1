"""Reports: what runs have left, as one HTML file that needs nothing beside it."""
