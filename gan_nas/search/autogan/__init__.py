"""AutoGAN (Gong et al. 2019)."""
