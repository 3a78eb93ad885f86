"""Values and pure decisions; imports nothing but the standard library."""
