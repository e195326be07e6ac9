"""Bringing an anatomic image and a perfusion series of one patient together."""
