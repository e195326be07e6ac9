"""From a prepared series and a checkpoint to a CBV map: standardization, strips, prediction."""
