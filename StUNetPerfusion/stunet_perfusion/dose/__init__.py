"""A lower contrast dose, simulated from a series at full dose."""
