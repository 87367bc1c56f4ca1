"""Tables of trials as JSON files, each with its data card."""
