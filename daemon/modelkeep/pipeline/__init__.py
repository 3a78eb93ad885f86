"""The way of a file: watch, settle, hash, plan, migrate; one module a stage, and the runner that joins them."""
