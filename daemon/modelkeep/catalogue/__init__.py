"""The catalogue: tables, engine, schema revisions, and the store in which all SQL stands."""
