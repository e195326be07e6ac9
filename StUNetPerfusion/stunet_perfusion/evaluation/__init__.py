"""How well maps are predicted: the paper's table, the table against the truth, and the study of simulated doses."""
