"""Training one genome."""
