"""From images to scores that can be compared."""
