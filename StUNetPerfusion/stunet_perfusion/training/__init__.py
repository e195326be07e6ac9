"""Training on phantoms: cases that are made as they are needed, the strips cut from them, and the loop."""
