"""AdversarialNAS (Gao et al. 2020)."""
