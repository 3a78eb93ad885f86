"""The configuration: its model, its file, its errors."""
