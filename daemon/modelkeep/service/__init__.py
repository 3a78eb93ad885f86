"""The running program: builds the parts, starts and stops them, answers."""
