"""The networks that predict CBV, and the checkpoints that hold them. Importing this package does not import torch."""
