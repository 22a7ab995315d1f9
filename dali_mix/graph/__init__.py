"""What the graph functions of pipeline mode and of dynamic mode share. Uses DALI, not PyTorch."""
