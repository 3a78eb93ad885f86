"""All SQL. Every function takes a connection inside a transaction and speaks in domain values."""
