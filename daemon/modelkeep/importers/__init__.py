"""Stage 1: one module per legacy source behind one small interface."""
