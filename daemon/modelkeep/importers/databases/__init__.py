"""Readers of what other managers keep in databases and caches of their own."""
