"""MixLoader, and all that it is made of: the one place where DALI and PyTorch meet."""
