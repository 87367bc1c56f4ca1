"""How long things take, as commands tell."""
