"""The migration journal: its records, its writer, its reader, and recovery from it."""
