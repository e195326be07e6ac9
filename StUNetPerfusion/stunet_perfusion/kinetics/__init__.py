"""Tracer kinetics: concentration, arterial input function, CBV in closed form, and the reference by deconvolution."""
