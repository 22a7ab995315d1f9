"""The PyTorch side: targets, losses, metrics and hidden-layer mixing. Imports no DALI."""
