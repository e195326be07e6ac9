"""How fast it is: a case, strips, deconvolution."""
