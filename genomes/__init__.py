"""Published genomes as JSON files."""
