"""Cloud training: Hydra configuration, timm networks, Lightning's loop, W&B's record."""
