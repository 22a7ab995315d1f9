"""MixLoader and its parts. Only this room uses both DALI and PyTorch."""
